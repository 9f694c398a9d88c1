-- Primary key, unique, exclusion and check constraints, under production's own names; their indexes where production's
-- lie, which a definition does not say.
select
    quote_ident(p.conname) as object,
    format(
        'set local default_tablespace = %%L; alter table %%s add constraint %%I %%s',
        coalesce(s.spcname, ''), %(incoming)s::oid::regclass, p.conname,
        %(texts)s::jsonb -> 'constraint' -> p.oid::text ->> 0
    ) as statement
from pg_catalog.pg_constraint as p
left join pg_catalog.pg_class as x on x.oid = p.conindid
left join pg_catalog.pg_tablespace as s on s.oid = x.reltablespace
where p.conrelid = %(production)s::oid
    and (p.contype in ('p', 'u', 'x', 'c') or (p.contype = 'n' and not p.convalidated))
    and not exists (
        select from pg_catalog.pg_constraint as i
        where i.conrelid = %(incoming)s::oid and i.conname = p.conname
    )
order by array_position(array['n', 'c', 'p', 'u', 'x'], p.contype::text), p.conname
