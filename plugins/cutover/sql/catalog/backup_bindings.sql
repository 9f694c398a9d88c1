-- What tables of the backup hold of the application's: defaults that draw from its sequences or call its functions,
-- policies that read its tables, triggers that call its functions. Left there, a deploy that drops such a thing would
-- be refused for the sake of a backup. A rollback gives the tables all of this anew, as production has it then.
with backup as (
    select
        c.oid,
        c.oid::regclass as name,
        c.relnamespace
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = %(backup_schema)s::text and c.relkind = 'r'
)

select
    b.name::text || '.' || quote_ident(a.attname) as object,
    format('alter table %%s alter column %%I drop default', b.name, a.attname) as statement
from backup as b
join pg_catalog.pg_attribute as a
    on a.attrelid = b.oid and a.attnum > 0 and a.atthasdef and a.attgenerated = '' and not a.attisdropped
join pg_catalog.pg_attrdef as f on f.adrelid = b.oid and f.adnum = a.attnum
where exists (
        select
        from pg_catalog.pg_depend as d
        left join pg_catalog.pg_class as c on d.refclassid = 'pg_catalog.pg_class'::regclass and c.oid = d.refobjid
        where d.classid = 'pg_catalog.pg_attrdef'::regclass and d.objid = f.oid and d.deptype = 'n'
            and c.relnamespace is distinct from b.relnamespace
    )
union all
select
    b.name::text || ':' || quote_ident(p.polname),
    format('drop policy %%I on %%s', p.polname, b.name)
from backup as b
join pg_catalog.pg_policy as p on p.polrelid = b.oid
union all
select
    b.name::text || ':' || quote_ident(t.tgname),
    format('drop trigger %%I on %%s', t.tgname, b.name)
from backup as b
join pg_catalog.pg_trigger as t on t.tgrelid = b.oid and not t.tgisinternal
where t.tgfoid is distinct from to_regprocedure('cutover.capture()')
order by 1
