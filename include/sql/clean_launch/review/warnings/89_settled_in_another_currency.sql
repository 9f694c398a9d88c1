-- Payments whose fee and net amount came in another currency: kept beside, not as if they were in the invoice's.
select
    t.id as transaction_id,
    t.currency,
    t.amount,
    t.metadata #>> '{settled_in,currency}' as settled_in,
    t.metadata #>> '{settled_in,fee_amount}' as fee_amount,
    t.metadata #>> '{settled_in,net_amount}' as net_amount
from staging.transactions as t
where t.metadata ? 'settled_in'
order by t.amount desc, t.id asc
