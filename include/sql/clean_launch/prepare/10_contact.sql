-- Every contact with the person it belongs to. `place` orders the contacts of one person: the one registered first
-- (place 1) gives identity and names, the others are merged into it. A contact without a usable address has neither.
drop table if exists input.contact;

create table input.contact as
select
    id,
    cutover.email_key(email) as email_key,
    case
        when cutover.email_key(email) is not null
            then row_number() over (
                    partition by cutover.email_key(email)
                    order by registered_at asc nulls last, id asc
                )
    end as place,
    nullif(btrim(first_name), '') as first_name,
    nullif(btrim(surname), '') as last_name,
    nullif(btrim(phone_number), '') as phone,
    coalesce(tags, '{}') as tags,
    registered_at
from input.systemeio_contacts;

alter table input.contact add primary key (id);
create index on input.contact (email_key, place);
analyze input.contact;
