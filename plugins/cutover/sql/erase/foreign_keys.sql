-- Foreign keys of one column that may be null, by table names alone: the same names in a backup mean the same.
select distinct
    c.relname::text as table_name,
    a.attname::text as column_name,
    r.relname::text as referred_table,
    b.attname::text as referred_column
from pg_catalog.pg_constraint as k
join pg_catalog.pg_class as c on k.conrelid = c.oid
join pg_catalog.pg_class as r on k.confrelid = r.oid
join pg_catalog.pg_attribute as a on k.conrelid = a.attrelid and k.conkey[1] = a.attnum
join pg_catalog.pg_attribute as b on k.confrelid = b.attrelid and k.confkey[1] = b.attnum
where k.contype = 'f' and cardinality(k.conkey) = 1 and not a.attnotnull
