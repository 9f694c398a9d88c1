-- Parts of a run's evidence that are read by themselves.
select
    coalesce(jsonb_pretty(r.review), 'null') as review,
    coalesce(jsonb_pretty(r.review -> 'covered'), 'null') as covered,
    (select l.report -> 'statements' from cutover.ledger as l where l.run = r.run) as statements,
    (
        select coalesce(jsonb_pretty(jsonb_agg(to_jsonb(c) order by c.source)), '[]')
        from cutover.reconciliation as c
        where c.run = r.run
    ) as reconciliation
from cutover.run as r
where r.run = %(run)s
