-- For every valid foreign key of an outside table: a query that counts its rows, and samples one, whose key the
-- incoming table does not hold. Those rows would be orphaned by the move.
select
    k.conrelid::regclass::text || ':' || quote_ident(k.conname) as object,
    format(
        'select count(*), min(o.*::text) from %%s as o where %%s and not exists (select from %%I.%%I as i where %%s)',
        k.conrelid::regclass,
        (
            select string_agg(format('o.%%I is not null', a.attname), ' and ')
            from unnest(k.conkey) as n (attnum)
            join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = n.attnum
        ),
        %(incoming_schema)s::text,
        t.relname,
        (
            select string_agg(format('i.%%I = o.%%I', f.attname, a.attname), ' and ')
            from unnest(k.conkey, k.confkey) as n (attnum, referenced)
            join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = n.attnum
            join pg_catalog.pg_attribute as f on f.attrelid = k.confrelid and f.attnum = n.referenced
        )
    ) as statement
from pg_catalog.pg_constraint as k
join pg_catalog.pg_class as t on t.oid = k.confrelid
where k.oid = any(%(outside_keys)s::oid[]) and k.convalidated
order by 1
