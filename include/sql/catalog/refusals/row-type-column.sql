-- A stored value of the table's row type carries the old table's identity in every row.
select
    a.attrelid::regclass::text || '.' || quote_ident(a.attname) as object,
    format('its type is the row type of %%s, which the swap replaces', t.oid::regclass) as why,
    format(
        'alter table %%s alter column %%I type jsonb using to_jsonb(%%I);', a.attrelid::regclass, a.attname, a.attname
    ) as remedy
from pg_catalog.pg_class as t
join pg_catalog.pg_type as y on y.oid = t.reltype
join pg_catalog.pg_attribute as a on a.atttypid in (y.oid, y.typarray) and not a.attisdropped
join pg_catalog.pg_class as c on c.oid = a.attrelid and c.relkind in ('r', 'p', 'v', 'm', 'f', 'c')
where t.oid = any(%(tables)s::oid[])
