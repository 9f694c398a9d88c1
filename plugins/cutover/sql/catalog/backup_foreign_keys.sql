-- Foreign keys of backup tables to live ones. Left alone they would block, or follow, the deletion of an account.
select
    k.conrelid::regclass::text || ':' || quote_ident(k.conname) as object,
    -- sent as one message and so one transaction: what is dropped is remembered
    format(
        'insert into cutover.released_key values (%%L, %%L, %%L, %%L, %%L) on conflict do nothing; '
        'alter table %%s drop constraint %%I',
        n.nspname,
        c.relname,
        k.conname,
        regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', ''),
        k.confrelid::regclass,
        k.conrelid::regclass,
        k.conname
    ) as statement
from pg_catalog.pg_constraint as k
join pg_catalog.pg_class as c on c.oid = k.conrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
join pg_catalog.pg_class as f on f.oid = k.confrelid
where k.contype = 'f' and n.nspname = %(backup_schema)s::text and f.relnamespace <> c.relnamespace
order by 1
