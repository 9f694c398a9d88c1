-- The rows that are the evidence of a run, named as the chain names them.
select
    e.subject,
    jsonb_pretty(e.told) as row_text
from (
    select
        1 as place,
        0 as number,
        format('run %%s', r.run) as subject,
        to_jsonb(r) as told
    from cutover.run as r
    where r.run = %(run)s
    union all
    select
        2,
        a.approval_id,
        format('approvals %%s', a.approval_id),
        to_jsonb(a)
    from cutover.approvals as a
    where a.run = %(run)s
    union all
    select
        3,
        l.entry,
        format('ledger %%s', l.entry),
        to_jsonb(l)
    from cutover.ledger as l
    where l.run = %(run)s
    union all
    select
        4,
        0,
        format('certificate %%s', c.run),
        to_jsonb(c)
    from cutover.certificate as c
    where c.run = %(run)s
) as e
order by e.place, e.number
