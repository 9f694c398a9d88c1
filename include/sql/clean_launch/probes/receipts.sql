-- The receipts of one customer, newest first: of whoever has most.
select
    t.receipt_no,
    t.product_type,
    t.amount,
    t.status,
    t.paid_at
from transactions as t
where t.user_id = (
        select m.user_id
        from transactions as m
        where m.user_id is not null
        group by m.user_id
        order by count(*) desc, m.user_id
        limit 1
    )
order by t.paid_at desc
