-- Payments that are neither a success nor known to have gone back: they count for nothing.
select
    source.id as xendit_transaction_id,
    source.status,
    source.amount,
    source.currency,
    source.created
from input.xendit_transactions as source
where
    source.type = 'PAYMENT'
    and coalesce(source.status, 'none') not in ('SUCCESS', 'REVERSED', 'VOIDED', 'FAILED')
order by source.amount desc nulls last, source.id asc
