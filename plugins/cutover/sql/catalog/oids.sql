-- Of each table by its quoted name, in the order asked; null for one that is not there.
select to_regclass(n.name)::oid as oid
from unnest(%(names)s::text[]) as n (name)
