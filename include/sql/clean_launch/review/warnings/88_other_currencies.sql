-- Transactions in another currency than PHP: sums over amounts leave the currency out of account.
select
    t.id as transaction_id,
    t.currency,
    t.amount
from staging.transactions as t
where t.currency <> 'PHP'
order by t.currency asc, t.amount desc, t.id asc
