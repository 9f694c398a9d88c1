-- Triggers, defaults and checks of tables outside the set that name one of its tables. Checks are validated after the
-- lock, like foreign keys.
(
    select
        quote_ident(t.tgname) as object,
        s.statement
    from pg_catalog.pg_trigger as t
    cross join
        lateral (
            values
            (1, format('drop trigger %%I on %%s', t.tgname, t.tgrelid::regclass)),
            (2, pg_get_triggerdef(t.oid)),
            (3, case
                when t.tgenabled <> 'O' then format(
                        'alter table %%s %%s trigger %%I', t.tgrelid::regclass,
                        case t.tgenabled
                            when 'D' then 'disable' when 'R' then 'enable replica' else 'enable always'
                        end,
                        t.tgname
                    )
            end),
            (4, case
                when obj_description(t.oid, 'pg_trigger') is not null
                    then format(
                            'comment on trigger %%I on %%s is %%L',
                            t.tgname,
                            t.tgrelid::regclass,
                            obj_description(t.oid, 'pg_trigger')
                        )
            end),
            (5, (
                select
                    string_agg(
                        format(
                            'alter trigger %%I on %%s depends on extension %%I',
                            t.tgname,
                            t.tgrelid::regclass,
                            e.extname
                        ), '; '
                    )
                from pg_catalog.pg_depend as x
                join pg_catalog.pg_extension as e on e.oid = x.refobjid
                where x.classid = 'pg_catalog.pg_trigger'::regclass and x.objid = t.oid and x.deptype = 'x'
            ))
        ) as s (position, statement)
    where t.oid = any(%(outside_triggers)s::oid[]) and s.statement is not null
    order by t.oid, s.position
)
union all
select
    f.adrelid::regclass::text || '.' || quote_ident(a.attname),
    format(
        'alter table %%s alter column %%I set default %%s',
        f.adrelid::regclass, a.attname, pg_get_expr(f.adbin, f.adrelid)
    )
from pg_catalog.pg_attrdef as f
join pg_catalog.pg_attribute as a on a.attrelid = f.adrelid and a.attnum = f.adnum
where f.oid = any(%(outside_defaults)s::oid[])
union all
select
    k.conrelid::regclass::text || ':' || quote_ident(k.conname),
    format(
        'alter table %%s drop constraint %%I, add constraint %%I %%s%%s%%s',
        k.conrelid::regclass, k.conname, k.conname, pg_get_constraintdef(k.oid),
        case when k.convalidated then ' NOT VALID' end,
        case
            when obj_description(k.oid, 'pg_constraint') is not null
                then format(
                        '; comment on constraint %%I on %%s is %%L',
                        k.conname,
                        k.conrelid::regclass,
                        obj_description(k.oid, 'pg_constraint')
                    )
        end
    )
from pg_catalog.pg_constraint as k
where k.oid = any(%(outside_checks)s::oid[])
