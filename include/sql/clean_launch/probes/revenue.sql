-- Revenue by month, as the staff's chart shows it.
select
    r.month,
    sum(r.revenue) as revenue
from monthly_revenue as r
group by r.month
order by r.month
