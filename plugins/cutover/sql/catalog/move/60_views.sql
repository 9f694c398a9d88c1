-- Views, lowest first. Their options must be repeated: CREATE OR REPLACE without them drops security_invoker.
select
    v.oid::regclass::text as object,
    format(
        'create or replace view %%s%%s as %%s', v.oid::regclass,
        (
            select ' with (' || string_agg(format('%%I = %%L', o.option_name, o.option_value), ', ') || ')'
            from pg_options_to_table(c.reloptions) as o
        ),
        rtrim(pg_get_viewdef(v.oid), ';')
    ) as statement
from unnest(%(views)s::oid[]) with ordinality as v (oid, position)
join pg_catalog.pg_class as c on c.oid = v.oid
order by v.position
