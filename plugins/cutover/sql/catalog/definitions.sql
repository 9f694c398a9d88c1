-- What is on a relation, by kind: oid, definition, and of a trigger the second table that it is bound to, of a policy
-- its check. No operator and no name but in full: the application's schemas are searched while this runs.
select
    'constraint' as kind,
    k.oid,
    pg_catalog.pg_get_constraintdef(k.oid) as definition,
    null as further
from pg_catalog.pg_constraint as k
where k.conrelid operator(pg_catalog.=) %(relation)s::pg_catalog.oid  -- noqa: LT01
union all
select
    'index' as kind,
    x.indexrelid as oid,
    pg_catalog.pg_get_indexdef(x.indexrelid) as definition,
    null as further
from pg_catalog.pg_index as x
where x.indrelid operator(pg_catalog.=) %(relation)s::pg_catalog.oid  -- noqa: LT01
union all
select
    'default' as kind,
    f.oid,
    pg_catalog.pg_get_expr(f.adbin, f.adrelid) as definition,
    null as further
from pg_catalog.pg_attrdef as f
where f.adrelid operator(pg_catalog.=) %(relation)s::pg_catalog.oid  -- noqa: LT01
union all
select
    'trigger' as kind,
    t.oid,
    pg_catalog.pg_get_triggerdef(t.oid) as definition,
    t.tgconstrrelid::pg_catalog.regclass::pg_catalog.text as further
from pg_catalog.pg_trigger as t
where t.tgrelid operator(pg_catalog.=) %(relation)s::pg_catalog.oid  -- noqa: LT01
union all
select
    'policy' as kind,
    p.oid,
    pg_catalog.pg_get_expr(p.polqual, p.polrelid) as definition,
    pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) as further
from pg_catalog.pg_policy as p
where p.polrelid operator(pg_catalog.=) %(relation)s::pg_catalog.oid  -- noqa: LT01
