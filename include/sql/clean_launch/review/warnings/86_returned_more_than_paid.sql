-- Transactions of which more went back than was paid.
select
    t.id as transaction_id,
    t.amount,
    t.refunded_amount
from staging.transactions as t
where t.refunded_amount > t.amount
order by t.refunded_amount - t.amount desc, t.id asc
