-- Whether the launch that an entry has put in force again, a rollback's rollback, had fenced the sources. Rollbacks are
-- taken back in turn: every second one of them puts the launch there, and the others take it away.
with recursive back as (
    select
        l.run,
        l.action,
        l.undoes,
        0 as depth
    from cutover.ledger as l
    where l.run = %(run)s
    union all
    select
        u.run,
        u.action,
        u.undoes,
        b.depth + 1
    from back as b
    inner join cutover.ledger as u on b.undoes = u.run
)

select count(*) > 0 as is_fenced_again
from back as b
inner join cutover.timeline as t on b.run = t.run
where
    b.action = 'swap' and b.depth > 0 and mod(b.depth, 2) = 0
    and t.step = 'fence' and t.ended_at is not null
