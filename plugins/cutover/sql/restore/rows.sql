-- The rows of people: their keys, where they lie, and a digest of what both tables have of them. Without those that one
-- transaction (but) has written.
select
    array[{key}]::text[] as key,
    t.ctid::text as place,
    pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(concat(row({columns})), 'UTF8')), 'hex') as digest
from {copy} as t
where {condition} and t.xmin::text::numeric is distinct from mod(%(but)s::numeric, 4294967296)
