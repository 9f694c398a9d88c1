-- What the chain has of a run, oldest first.
select
    c.link,
    c.kind,
    c.signed_at,
    case when c.kind = 'refusal' then c.payload::jsonb -> 'says' end as refused
from cutover.chain as c
where c.run = %(run)s
order by c.link
