-- Money received that is in no transaction: without an invoice, for one that is not paid, or beside what names it.
select
    movement.id as xendit_transaction_id,
    movement.reason,
    source.amount,
    source.currency,
    source.created
from input.movement as movement
inner join input.xendit_transactions as source on movement.id = source.id
where
    movement.type = 'PAYMENT'
    and movement.fate = 'left_out'
    and source.status = 'SUCCESS'
order by source.amount desc, movement.id asc
