-- The links since a run's first one, with the one before that, if it is still there.
select
    c.link,
    c.kind,
    c.run,
    c.payload,
    c.digest,
    c.previous,
    c.head,
    c.key_id,
    c.signature,
    c.signed_at
from cutover.chain as c
where c.link >= (select min(f.link) - 1 from cutover.chain as f where f.run = %(run)s)
order by c.link
