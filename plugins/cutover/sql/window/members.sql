-- What holds rows of the named tables beside these: whatever inherits from them or is a partition of them. A trigger of
-- a statement fires for the table that the statement names, and for no other.
with recursive
member as (
    select to_regclass(t.name)::oid as oid
    from unnest(%(tables)s::text[]) as t (name)
    union
    select i.inhrelid as oid
    from member
    inner join pg_catalog.pg_inherits as i on member.oid = i.inhparent
)

select format('%%I.%%I', n.nspname, c.relname) as name
from member
inner join pg_catalog.pg_class as c on member.oid = c.oid
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
where not exists (select from unnest(%(tables)s::text[]) as t (name) where to_regclass(t.name)::oid = c.oid)
order by c.oid
