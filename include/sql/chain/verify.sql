-- Ledger entries whose hash is not that of their columns, or which do not follow the entry before them.
-- An entry taken out of the middle shows as a break of the next; one taken off the end does not, which is why
-- the newest hash is printed to be kept elsewhere.
with chained as (
    select
        l.entry,
        l.run,
        l.previous_hash,
        l.hash,
        cutover.ledger_hash(l) as computed,
        lag(l.hash) over (order by l.entry) as hash_before
    from cutover.ledger as l
)

select
    k.entry,
    k.run,
    k.hash,
    case
        when k.hash is null then 'has no hash'
        when k.hash <> k.computed then 'was changed after it was written'
        when (k.previous_hash is distinct from k.hash_before) then 'does not follow the entry before it'
    end as broken
from chained as k
order by k.entry
