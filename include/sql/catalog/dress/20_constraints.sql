-- Primary key, unique, exclusion and check constraints, under production's own names.
select
    quote_ident(p.conname) as object,
    format(
        'alter table %%s add constraint %%I %%s', %(incoming)s::oid::regclass, p.conname, pg_get_constraintdef(p.oid)
    )
        as statement
from pg_catalog.pg_constraint as p
where p.conrelid = %(production)s::oid and p.contype in ('p', 'u', 'x', 'c')
    and not exists (
        select from pg_catalog.pg_constraint as i
        where i.conrelid = %(incoming)s::oid and i.conname = p.conname
    )
order by array_position(array['c', 'p', 'u', 'x'], p.contype::text), p.conname
