-- The columns of a table in their order: name, type, and whether its values can be hashed.
select
    a.attname,
    format_type(a.atttypid, a.atttypmod) || case when a.attnotnull then ' not null' else '' end as type,
    y.typname not in ('json', 'xml', 'point', 'line', 'lseg', 'box', 'path', 'polygon', 'circle', 'tsvector', 'tsquery')
    and y.typtype <> 'c' as hashable
from pg_catalog.pg_attribute as a
join pg_catalog.pg_type as t on t.oid = a.atttypid
-- an array is as hashable as its elements
join pg_catalog.pg_type as y on y.oid = case when t.typelem <> 0 and t.typlen = -1 then t.typelem else t.oid end
where a.attrelid = to_regclass(%(table)s) and a.attnum > 0 and not a.attisdropped
order by a.attnum
