-- Amounts finer than their currency has it: rounded half to even, kept exactly beside.
select
    t.id as transaction_id,
    t.currency,
    t.amount,
    t.metadata ->> 'exact_amount' as exact_amount,
    t.refunded_amount,
    t.metadata ->> 'exact_refunded_amount' as exact_refunded_amount
from staging.transactions as t
where t.metadata ?| '{exact_amount,exact_refunded_amount}'::text[]
order by t.id asc
