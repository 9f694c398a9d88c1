-- The newest link of a kind that covers a row.
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
where %(subject)s = any(c.subjects) and c.kind = %(kind)s
order by c.link desc
limit 1
