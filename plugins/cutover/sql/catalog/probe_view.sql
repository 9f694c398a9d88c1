-- A view over the tables as rehearsed: the same text, executed with their schema in front of the search_path.
select
    c.oid::regclass::text as object,
    format(
        'create view %%I.%%I%%s as %%s; alter view %%I.%%I owner to %%I', %(schema)s::text, c.relname,
        (
            select ' with (' || string_agg(format('%%I = %%L', o.option_name, o.option_value), ', ') || ')'
            from pg_options_to_table(c.reloptions) as o
        ),
        rtrim(%(definition)s::text, ';'), %(schema)s::text, c.relname, %(owner)s::text
    ) as statement
from pg_catalog.pg_class as c
where c.oid = %(view)s::oid
