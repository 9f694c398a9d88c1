-- Every contact with the person it belongs to. `place` orders the contacts of one person: the one registered first
-- (place 1) gives identity and names, the others are merged into it. A contact without a usable address has neither.
drop table if exists input.contact;

create table input.contact as
with keyed as (
    select
        id,
        cutover.email_key(email, (select characters from input.address_limit)) as email_key,
        first_name,
        surname,
        phone_number,
        tags,
        registered_at,
        api_synced_at
    from input.systemeio_contacts
)

select
    id,
    email_key,
    case
        when email_key is not null
            then row_number() over (
                    partition by email_key
                    order by registered_at asc nulls last, id asc
                )
    end as place,
    nullif(btrim(first_name), '') as first_name,
    nullif(btrim(surname), '') as last_name,
    nullif(btrim(phone_number), '') as phone,
    array_remove(coalesce(tags, '{}'), null) as tags,
    case when cutover.believable(registered_at) then registered_at end as registered_at,
    -- one without a time of registration has been known at least since it was read
    case when cutover.believable(registered_at) then registered_at else api_synced_at end as known_at
from keyed;

alter table input.contact add primary key (id);
create index on input.contact (email_key, place);
analyze input.contact;
