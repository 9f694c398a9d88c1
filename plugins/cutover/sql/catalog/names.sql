-- Of each relation, in the order asked, as it is written here.
select
    u.r as oid,
    u.r::regclass::text as name
from unnest(%(relations)s::oid[]) with ordinality as u (r, n)
order by u.n
