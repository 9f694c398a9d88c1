-- Where `catalog/try_ddl.sql` tries what a launch does: the schema, if this role may, and the tables of the set in it.
select
    set_config(
        'cutover.try_in',
        (
            select coalesce(array_agg(n.nspname), '{{}}')::text
            from pg_catalog.pg_namespace as n
            where
                n.nspname = %(schema)s
                and has_schema_privilege(n.oid, 'USAGE')
                and has_schema_privilege(n.oid, 'CREATE')
        ),
        true
    ),
    set_config(
        'cutover.try_published',
        (
            select coalesce(array_agg(c.oid), '{{}}')::text
            from pg_catalog.pg_class as c
            inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
            where n.nspname = %(schema)s and c.relname = any(%(tables)s)
        ),
        true
    )
