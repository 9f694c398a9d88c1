-- The ledger's entries, each with the text that its own hash is made of.
select
    l.entry,
    l.previous_hash,
    l.hash,
    (
        select jsonb_object_agg(c.key, c.value)
        from jsonb_each(to_jsonb(l)) as c
        where c.key = any(%(hashed)s)
    )::text as text
from cutover.ledger as l
order by l.entry
