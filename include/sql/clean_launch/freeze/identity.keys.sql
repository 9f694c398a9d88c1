-- Every e-mail key that may become a customer: payer of a paid invoice, or contact with a product's tag.
select cutover.email_key(payer_email) as email_key
from input.xendit_invoices
where
    status in ('PAID', 'SETTLED')
    and cutover.email_key(payer_email) is not null
union
select cutover.email_key(customer ->> 'email') as email_key
from input.xendit_invoices
where
    status in ('PAID', 'SETTLED')
    and cutover.email_key(customer ->> 'email') is not null
union
select cutover.email_key(email) as email_key
from input.systemeio_contacts
where
    tags && (select array_agg(tag) from input.product)
    and cutover.email_key(email) is not null
