-- Foreign keys to live tables are added in the move.
select distinct
    k.conrelid::regclass::text || ':' || quote_ident(k.conname) as object,
    format('%%I may not refer to %%s', current_user, k.confrelid::regclass) as why,
    format('grant references on %%s to %%I;', k.confrelid::regclass, current_user) as remedy
from pg_catalog.pg_constraint as k
where k.contype = 'f' and k.conrelid = any(%(tables)s::oid[]) and k.confrelid <> all(%(tables)s::oid[])
    and not has_table_privilege(k.confrelid, 'REFERENCES')
    and exists (
        select
        from unnest(k.confkey) as c (attnum)
        where not has_column_privilege(k.confrelid, c.attnum, 'REFERENCES')
    )
