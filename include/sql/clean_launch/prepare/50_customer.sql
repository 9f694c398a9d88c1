-- Who is a customer: the payer of a PAID or SETTLED invoice of any product, or a contact with a product's tag.
-- One row per e-mail key, with what the sources say about the person.
drop table if exists input.customer;

create table input.customer as
with
customer as (
    select email_key
    from input.invoice
    where
        status in ('PAID', 'SETTLED')
        and email_key is not null
    union
    select email_key
    from input.contact
    where
        tags && (select array_agg(tag) from input.product)
        and email_key is not null
),

-- the tags of all contacts of a person, each once, sorted the same on every server
tagged as (
    select
        contact.email_key,
        array_agg(distinct tag.name collate "C" order by tag.name collate "C") as tags
    from input.contact as contact
    cross join lateral unnest(contact.tags) as tag (name)
    group by contact.email_key
),

-- the contact registered first gives the names; a field that it lacks comes from the next one
named as (
    select
        email_key,
        (array_agg(id order by place))[1] as contact_id,
        (array_agg(first_name order by place) filter (where first_name is not null))[1] as first_name,
        (array_agg(last_name order by place) filter (where last_name is not null))[1] as last_name,
        (array_agg(phone order by place) filter (where phone is not null))[1] as phone,
        (array_agg(registered_at order by place))[1] as registered_at,
        (array_agg(known_at order by place))[1] as known_at
    from input.contact
    where email_key is not null
    group by email_key
),

payer as (
    select
        invoice.email_key,
        invoice.created,
        invoice.updated,
        nullif(btrim(source.customer ->> 'given_names'), '') as first_name,
        nullif(btrim(source.customer ->> 'surname'), '') as last_name,
        coalesce(
            nullif(btrim(source.customer ->> 'mobile_number'), ''),
            nullif(btrim(source.customer ->> 'phone_number'), '')
        ) as phone,
        -- the later one knows the person better
        row_number() over (
            partition by invoice.email_key
            order by invoice.created desc, invoice.id asc
        ) as place
    from input.invoice as invoice
    inner join input.xendit_invoices as source on invoice.id = source.id
    where
        invoice.email_key is not null
        -- whoever knows an address can open a checkout for it: one that was never paid says nothing about anybody
        and invoice.status in ('PAID', 'SETTLED')
),

invoiced as (
    select
        email_key,
        min(created) as first_invoiced_at,
        max(coalesce(updated, created)) as last_invoiced_at,
        (array_agg(first_name order by place) filter (where first_name is not null))[1] as first_name,
        (array_agg(last_name order by place) filter (where last_name is not null))[1] as last_name,
        (array_agg(phone order by place) filter (where phone is not null))[1] as phone
    from payer
    group by email_key
)

select
    customer.email_key,
    named.contact_id,
    coalesce(named.first_name, invoiced.first_name) as first_name,
    coalesce(named.last_name, invoiced.last_name) as last_name,
    coalesce(named.phone, invoiced.phone) as phone,
    coalesce(tagged.tags, '{}') as tags,
    named.registered_at,
    least(named.known_at, invoiced.first_invoiced_at) as first_seen_at,
    greatest(named.known_at, invoiced.last_invoiced_at) as last_seen_at
from customer
left join named on customer.email_key = named.email_key
left join tagged on customer.email_key = tagged.email_key
left join invoiced on customer.email_key = invoiced.email_key;

alter table input.customer add primary key (email_key);
analyze input.customer;
