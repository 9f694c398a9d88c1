-- One profile per customer, and one per member as it is. What production knows comes from the person's current row,
-- and where that lacks it from the profile of another account of the same person. Names and phone are production's
-- before the sources', but for what somebody has typed into an account without proving that the address is theirs.
insert into staging.unified_profiles (
    id,
    email,
    first_name,
    last_name,
    phone,
    tags,
    acquisition_source,
    status,
    membership_level_id,
    admin_metadata,
    systemeio_id,
    systemeio_tags,
    api_source,
    created_at,
    updated_at
)
with known as (
    select
        account.email_key,
        (
            array_agg(p.first_name order by account.place)
            filter (where account.is_proved and btrim(p.first_name) <> '')
        )[1] as first_name,
        (
            array_agg(p.last_name order by account.place)
            filter (where account.is_proved and btrim(p.last_name) <> '')
        )[1] as last_name,
        (array_agg(p.phone order by account.place) filter (where account.is_proved and btrim(p.phone) <> ''))[1]
            as phone,
        (array_agg(p.first_name order by account.place) filter (where btrim(p.first_name) <> ''))[1]
            as unproved_first_name,
        (array_agg(p.last_name order by account.place) filter (where btrim(p.last_name) <> ''))[1]
            as unproved_last_name,
        (array_agg(p.phone order by account.place) filter (where btrim(p.phone) <> ''))[1] as unproved_phone,
        (array_agg(p.status order by account.place))[1] as status,
        (array_agg(p.membership_level_id order by account.place) filter (where p.membership_level_id is not null))[1]
            as membership_level_id,
        (
            array_agg(p.admin_metadata order by account.place)
            filter (where p.admin_metadata is not null and p.admin_metadata <> '{}')
        )[1] as admin_metadata,
        min(p.created_at) filter (where account.place = 1) as created_at,
        max(p.updated_at) filter (where account.place = 1) as updated_at
    from input.person_account as account
    inner join input.unified_profiles as p on account.account_id = p.id
    group by account.email_key
)

select
    person.id,
    person.email_key as email,
    coalesce(known.first_name, customer.first_name, known.unproved_first_name) as first_name,
    coalesce(known.last_name, customer.last_name, known.unproved_last_name) as last_name,
    coalesce(known.phone, customer.phone, known.unproved_phone) as phone,
    customer.tags,
    case when customer.contact_id is not null then 'systemeio' else 'xendit' end as acquisition_source,
    coalesce(known.status, 'active') as status,
    known.membership_level_id,
    coalesce(known.admin_metadata, '{}') as admin_metadata,
    customer.contact_id::text as systemeio_id,
    customer.tags as systemeio_tags,
    case when customer.contact_id is not null then 'systemeio' else 'xendit' end as api_source,
    coalesce(known.created_at, customer.first_seen_at) as created_at,
    -- never now(): a run over unchanged sources changes no row
    greatest(known.updated_at, customer.last_seen_at) as updated_at
from input.person as person
inner join input.customer as customer on person.email_key = customer.email_key
left join known on person.email_key = known.email_key
union all
-- a member's affiliate row comes with the affiliates
select
    p.id,
    -- an address that is a customer's: the check new_accounts names the profile, and the launch stops there
    case when claimed.email_key is null then p.email else p.id::text end as email,
    p.first_name,
    p.last_name,
    p.phone,
    p.tags,
    p.acquisition_source,
    p.status,
    p.membership_level_id,
    p.admin_metadata,
    p.systemeio_id,
    p.systemeio_tags,
    p.api_source,
    p.created_at,
    p.updated_at
from input.unified_profiles as p
inner join input.member as m on p.id = m.account_id
left join input.person as claimed on p.email = claimed.email_key
where m.test_account is null
