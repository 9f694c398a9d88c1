-- Transactions in production that no source confirms: they go to the backup.
select
    c.id as transaction_id,
    c.receipt_no,
    c.status,
    c.amount,
    c.currency,
    known.account_id is not null as by_a_customer
from input.transactions as c
left join staging.transactions as t on c.id = t.id
left join input.person_account as known on c.user_id = known.account_id
where t.id is null
order by 6 desc, c.amount desc, c.id asc
