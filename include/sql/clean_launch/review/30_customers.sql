-- Customers by how their account was found.
select
    person.found,
    count(*) as customers,
    count(customer.contact_id) as with_contact,
    count(p.id) as with_profile_before
from input.person as person
inner join input.customer as customer on person.email_key = customer.email_key
left join input.unified_profiles as p on person.id = p.id
group by person.found
order by person.found asc
