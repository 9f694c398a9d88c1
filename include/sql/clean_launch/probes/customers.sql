-- The staff's list of customers, those who paid most first.
select
    c.id,
    c.email,
    c.full_name,
    c.payments,
    c.paid
from customer_overview as c
order by c.paid desc, c.id
limit 50
