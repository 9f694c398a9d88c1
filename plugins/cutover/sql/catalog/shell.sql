-- An empty table of production's shape, without keys and indexes, which come after the load.
select
    'table' as object,
    format(
        'create table %%I.%%I (like %%s including defaults including generated including storage '
        'including compression) using %%I%%s%%s',
        %(incoming_schema)s::text, c.relname, c.oid::regclass,
        (select a.amname from pg_catalog.pg_am as a where a.oid = c.relam),
        (
            select ' with (' || string_agg(format('%%I = %%L', o.option_name, o.option_value), ', ') || ')'
            from pg_options_to_table(c.reloptions) as o
        ),
        (select format(' tablespace %%I', s.spcname) from pg_catalog.pg_tablespace as s where s.oid = c.reltablespace)
    ) as statement
from pg_catalog.pg_class as c
where c.oid = %(production)s::oid
union all
-- LIKE takes a NOT NULL that is NOT VALID (since 18) for a valid one, which old rows may break: it comes after the load
select
    'not null of ' || quote_ident(a.attname),
    format('alter table %%I.%%I alter column %%I drop not null', %(incoming_schema)s::text, c.relname, a.attname)
from pg_catalog.pg_constraint as k
join pg_catalog.pg_class as c on c.oid = k.conrelid
join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = k.conkey[1]
where k.conrelid = %(production)s::oid and k.contype = 'n' and not k.convalidated
union all
-- without a key yet, and published with all tables, it could not be updated
select
    'replica identity',
    format('alter table %%I.%%I replica identity full', %(incoming_schema)s::text, c.relname)
from pg_catalog.pg_class as c
where c.oid = %(production)s::oid and exists (select from pg_catalog.pg_publication as p where p.puballtables)
