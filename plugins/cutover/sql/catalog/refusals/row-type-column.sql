-- A stored value of the table's row type carries the old table's identity in every row.
select
    a.attrelid::regclass::text || '.' || quote_ident(a.attname) as object,
    format('its type is the row type of %%s, which the swap replaces', t.oid::regclass) as why,
    case
        when c.relkind in ('v', 'm')
            then 'make it again with to_jsonb() of the row in place of the row.'
        when c.relkind = 'c'
            then format('alter type %%s alter attribute %%I type jsonb cascade;', c.oid::regclass, a.attname)
        else format(
                'alter table %%s alter column %%I type jsonb using to_jsonb(%%I);',
                a.attrelid::regclass, a.attname, a.attname
            )
    end as remedy
from pg_catalog.pg_class as t
join pg_catalog.pg_type as y on y.oid = t.reltype
join pg_catalog.pg_attribute as a on a.atttypid in (y.oid, y.typarray) and not a.attisdropped
join pg_catalog.pg_class as c on c.oid = a.attrelid and c.relkind in ('r', 'p', 'v', 'm', 'f', 'c')
where t.oid = any(%(tables)s::oid[] || %(rebuilt)s::oid[])
