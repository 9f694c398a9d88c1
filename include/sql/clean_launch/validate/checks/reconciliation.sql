-- Every source row is accounted for: read = staged + merged + left out + rejected, for all four sources.
select
    source.name as source,
    balance.read,
    balance.staged,
    balance.merged,
    balance.left_out,
    balance.rejected,
    balance.read - balance.staged - balance.merged - balance.left_out - balance.rejected as unaccounted
from (
    values ('xendit_invoices'), ('xendit_transactions'), ('systemeio_contacts'), ('systemeio_tags')
) as source (name)
left join cutover.reconciliation as balance on source.name = balance.source and balance.run = %(run)s
where
    balance.source is null
    or balance.read <> balance.staged + balance.merged + balance.left_out + balance.rejected
