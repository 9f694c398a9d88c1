-- Every contact with a usable address, one row per person, and what became of it.
insert into staging.leads (
    id,
    email,
    systemeio_id,
    merged_systemeio_ids,
    stage,
    user_id,
    first_name,
    last_name,
    phone,
    tags,
    locale,
    source_url,
    registered_at,
    first_paid_at,
    unsubscribed,
    bounced
)
with
together as (
    select
        contact.email_key,
        array_agg(contact.id::text order by contact.place) filter (where contact.place > 1) as merged_systemeio_ids,
        (array_agg(contact.first_name order by contact.place) filter (where contact.first_name is not null))[1]
            as first_name,
        (array_agg(contact.last_name order by contact.place) filter (where contact.last_name is not null))[1]
            as last_name,
        (array_agg(contact.phone order by contact.place) filter (where contact.phone is not null))[1] as phone,
        -- who has unsubscribed with one contact has unsubscribed
        bool_or(coalesce(source.unsubscribed, false)) as unsubscribed,
        bool_or(coalesce(source.bounced, false)) as bounced
    from input.contact as contact
    inner join input.systemeio_contacts as source on contact.id = source.id
    where contact.email_key is not null
    group by contact.email_key
),

tagged as (
    select
        contact.email_key,
        array_agg(distinct tag.name collate "C" order by tag.name collate "C") as tags
    from input.contact as contact
    cross join lateral unnest(contact.tags) as tag (name)
    group by contact.email_key
),

paid as (
    select
        email_key,
        min(paid_at) as first_paid_at
    from input.invoice
    where fate = 'staged'
    group by email_key
)

select
    md5('clean_launch/leads/' || contact.id)::uuid as id,
    contact.email_key as email,
    contact.id::text as systemeio_id,
    coalesce(together.merged_systemeio_ids, '{}') as merged_systemeio_ids,
    case when person.id is null then 'lead' else 'customer' end as stage,
    person.id as user_id,
    together.first_name,
    together.last_name,
    together.phone,
    coalesce(tagged.tags, '{}') as tags,
    source.locale,
    source.source_url,
    contact.registered_at,
    paid.first_paid_at,
    together.unsubscribed,
    together.bounced
from input.contact as contact
inner join input.systemeio_contacts as source on contact.id = source.id
inner join together on contact.email_key = together.email_key
left join tagged on contact.email_key = tagged.email_key
left join input.person as person on contact.email_key = person.email_key
left join paid on contact.email_key = paid.email_key
where contact.place = 1
