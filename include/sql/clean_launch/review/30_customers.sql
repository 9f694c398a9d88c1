-- Customers by how their account was found.
select
    person.found,
    count(*) as customers,
    count(*) filter (where customer.contact_id is not null) as with_contact,
    count(*) filter (where exists (
        select
        from input.unified_profiles as p
        where p.id = person.id
    )) as with_profile_before
from input.person as person
inner join input.customer as customer on person.email_key = customer.email_key
group by person.found
order by person.found asc
