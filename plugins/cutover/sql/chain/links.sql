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
order by c.link
