-- Commissions owed to affiliates, carried over to the cent.
select
    p.email,
    a.status,
    a.commission_rate,
    a.total_earned
from staging.affiliates as a
inner join staging.unified_profiles as p on a.user_id = p.id
where a.total_earned <> 0
order by a.total_earned desc, a.id asc
