-- Partitioned tables, foreign tables and views are not moved as one relation; typed and inherited ones are bound
-- to another by more than a name.
select
    c.oid::regclass::text as object,
    case
        when c.relkind = 'p' then 'it is partitioned'
        when c.relkind = 'f' then 'it is a foreign table'
        when c.relkind in ('v', 'm') then 'it is a view'
        when c.relpersistence <> 'p' then 'it is unlogged or temporary'
        when c.reloftype <> 0 then 'it is a typed table'
        else 'it takes part in inheritance'
    end as why,
    'leave it out of the set, or make it a plain table first.' as remedy
from pg_catalog.pg_class as c
where c.oid = any(%(tables)s::oid[])
    and (
        c.relkind <> 'r' or c.relpersistence <> 'p' or c.reloftype <> 0
        or exists (select from pg_catalog.pg_inherits as i where c.oid in (i.inhrelid, i.inhparent))
    )
