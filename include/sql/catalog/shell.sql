-- An empty table of production's shape, without keys and indexes, which come after the load.
select
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
