-- What each key of other tables does when the row goes that it refers to, and whether it is one over a period.
select
    k.key,
    p.name,
    p.rule,
    to_jsonb(c) ->> 'conperiod' = 'true' as is_temporal
from unnest(%(keys)s::oid[]) as k (key)
inner join pg_catalog.pg_constraint as c on k.key = c.oid
cross join lateral cutover.key_parts(k.key) as p
