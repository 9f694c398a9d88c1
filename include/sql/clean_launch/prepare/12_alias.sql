-- Addresses that a contact had before: a profile in production says which contact it is of, and under which address it
-- was known. Whoever paid under such an address is the same person. One that a contact has today is nobody's earlier
-- one: two who have exchanged addresses, or one who took up an address that was given up, stay who they are.
insert into cutover.earlier_address (email_key, contact_id)
select distinct
    known.email_key,
    contact.id as contact_id
from input.unified_profiles as p
inner join input.contact as contact on p.systemeio_id = contact.id::text
left join input.auth_users as u on p.id = u.id
cross join
    lateral (
        values
        (cutover.email_key(p.email, (select characters from input.address_limit))),
        (cutover.email_key(u.email, (select characters from input.address_limit)))
    ) as known (email_key)
where
    known.email_key is not null
    and known.email_key is distinct from contact.email_key
on conflict do nothing;

drop table if exists input.alias;

create table input.alias as
select distinct on (earlier.email_key)
    earlier.email_key,
    contact.email_key as person_key
from cutover.earlier_address as earlier
inner join input.contact as contact on earlier.contact_id = contact.id
where
    contact.email_key is not null
    and not exists (select from input.contact as today where today.email_key = earlier.email_key)
order by earlier.email_key asc, earlier.noted desc;

alter table input.alias add primary key (email_key);
create index on input.alias (person_key);
analyze input.alias;
