-- Of the newest launch of a migration such figures as it has: what it staged and froze, and the WAL written meanwhile.
with newest as (
    select e.run from cutover.ledger as e
    where e.migration = %(migration)s and e.action = 'swap'
    order by e.entry desc
    limit 1
),

done as (
    select distinct on (n.step)
        n.run,
        n.result
    from cutover.phase as n
    where n.run = (select l.run from newest as l) and n.holds
    order by n.step asc, n.record_id desc
)

select
    d.run,
    sum((d.result ->> 'staged_bytes')::bigint)::bigint as staged,
    sum((d.result ->> 'input_bytes')::bigint)::bigint as input,
    sum((d.result ->> 'wal_bytes')::bigint)::bigint as wal
from done as d
group by d.run
