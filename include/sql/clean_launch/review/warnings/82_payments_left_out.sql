-- Money received that is in no transaction: paid twice, paid without an invoice, or for one that is not paid.
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
