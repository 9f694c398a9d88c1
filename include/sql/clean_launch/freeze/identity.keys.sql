-- Every e-mail key that may become a customer: payer of a paid invoice, contact with a product's tag, or contact that
-- production knows, under whatever address.
select cutover.email_key(payer_email, (select characters from input.address_limit)) as email_key
from input.xendit_invoices
where
    status in ('PAID', 'SETTLED')
    and cutover.email_key(payer_email, (select characters from input.address_limit)) is not null
union
select cutover.email_key(customer ->> 'email', (select characters from input.address_limit)) as email_key
from input.xendit_invoices
where
    status in ('PAID', 'SETTLED')
    and cutover.email_key(customer ->> 'email', (select characters from input.address_limit)) is not null
union
select cutover.email_key(email, (select characters from input.address_limit)) as email_key
from input.systemeio_contacts
where
    tags && (select array_agg(tag) from input.product)
    and cutover.email_key(email, (select characters from input.address_limit)) is not null
union
select cutover.email_key(contact.email, (select characters from input.address_limit)) as email_key
from input.systemeio_contacts as contact
inner join input.unified_profiles as p on contact.id::text = p.systemeio_id
where cutover.email_key(contact.email, (select characters from input.address_limit)) is not null
