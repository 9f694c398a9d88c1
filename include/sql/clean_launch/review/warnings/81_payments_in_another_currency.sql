-- Payments in another currency than their invoice's: not in the sums, for which the invoice's own word counts.
select
    movement.id as xendit_transaction_id,
    payment.invoice_id as invoice,
    source.amount,
    source.currency,
    source.created
from input.movement as movement
inner join input.payment as payment on movement.id = payment.transaction_id
inner join input.xendit_transactions as source on movement.id = source.id
where
    movement.fate = 'merged'
    and payment.status = 'SUCCESS'
    and not payment.counts
order by source.amount desc, movement.id asc
