-- Triggers, switched off until the carried writes are in: those have already had their effects. The definition up to
-- the table's name is known letter by letter: nothing is searched for in it.
with trigger as (
    select
        t.*,
        %(texts)s::jsonb -> 'trigger' -> t.oid::text ->> 0 as definition,
        format(
            'CREATE %%sTRIGGER %%I %%s %%s ON ',
            case when t.tgconstraint <> 0 then 'CONSTRAINT ' end,
            t.tgname,
            case when t.tgtype & 2 > 0 then 'BEFORE' when t.tgtype & 64 > 0 then 'INSTEAD OF' else 'AFTER' end,
            concat_ws(
                ' OR ',
                case when t.tgtype & 4 > 0 then 'INSERT' end,
                case when t.tgtype & 8 > 0 then 'DELETE' end,
                case when t.tgtype & 16 > 0 then 'UPDATE' || coalesce(' OF ' || (
                            select string_agg(quote_ident(a.attname), ', ' order by u.position)
                            from unnest(t.tgattr::int2[]) with ordinality as u (attnum, position)
                            join pg_catalog.pg_attribute as a on a.attrelid = t.tgrelid and a.attnum = u.attnum
                        ), '')
                end,
                case when t.tgtype & 32 > 0 then 'TRUNCATE' end
            )
        ) as head,
        format('%%I.%%I ', n.nspname, c.relname) as named,
        -- a constraint trigger may name a second table, which may be one of the set
        'FROM ' || (%(texts)s::jsonb -> 'trigger' -> t.oid::text ->> 1) || ' ' as second,
        f.relname as second_name
    from pg_catalog.pg_trigger as t
    join pg_catalog.pg_class as c on c.oid = t.tgrelid
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    left join pg_catalog.pg_class as f on f.oid = t.tgconstrrelid and t.tgconstrrelid = any(%(tables)s::oid[])
    where t.tgrelid = %(production)s::oid
        and not t.tgisinternal
        and not exists (
            select from pg_catalog.pg_proc as p
            where p.oid = t.tgfoid and p.pronamespace = to_regnamespace('cutover') and p.proname ~ '^capture(_[0-9]+)?$'
        )
),

parted as (
    select
        t.*,
        case
            when starts_with(t.definition, t.head || t.named)
                then substr(t.definition, length(t.head || t.named) + 1)
        end as tail
    from trigger as t
)

select
    quote_ident(t.tgname) as object,
    d.statement
from parted as t
cross join
    lateral (
        values
        (1, case
            when t.second_name is null then format('%%s%%s %%s', t.head, %(incoming)s::oid::regclass, t.tail)
            when starts_with(t.tail, t.second) then format(
                    '%%s%%s FROM %%I.%%I %%s',
                    t.head,
                    %(incoming)s::oid::regclass,
                    %(incoming_schema)s::text,
                    t.second_name,
                    substr(t.tail, length(t.second) + 1)
                )
        end),
        (2, format('alter table %%s disable trigger %%I', %(incoming)s::oid::regclass, t.tgname)),
        (3, case
            when obj_description(t.oid, 'pg_trigger') is not null
                then format(
                        'comment on trigger %%I on %%s is %%L',
                        t.tgname,
                        %(incoming)s::oid::regclass,
                        obj_description(t.oid, 'pg_trigger')
                    )
        end),
        (4, (
            select
                string_agg(
                    format(
                        'alter trigger %%I on %%s depends on extension %%I',
                        t.tgname,
                        %(incoming)s::oid::regclass,
                        e.extname
                    ),
                    '; '
                )
            from pg_catalog.pg_depend as x
            join pg_catalog.pg_extension as e on e.oid = x.refobjid
            where x.classid = 'pg_catalog.pg_trigger'::regclass and x.objid = t.oid and x.deptype = 'x'
        ))
    ) as d (position, statement)
where d.statement is not null and t.tail is not null or d.position = 1
order by t.tgname, d.position
