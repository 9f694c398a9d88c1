-- Defaults that differ: changed since the table was staged, or naming a table of the set as a constant. Rendered with
-- the production schemas in the search_path (bare names) and executed with the incoming schema in front of them.
select
    quote_ident(a.attname) as object,
    case
        when f.oid is null
            then format('alter table %%I.%%I alter column %%I drop default', n.nspname, i.relname, a.attname)
        else format(
                'alter table %%I.%%I alter column %%I set default %%s',
                n.nspname, i.relname, a.attname, %(texts)s::jsonb -> 'default' -> f.oid::text ->> 0
            )
    end as statement
from pg_catalog.pg_class as i
join pg_catalog.pg_namespace as n on n.oid = i.relnamespace
join pg_catalog.pg_attribute as b on b.attrelid = i.oid and b.attnum > 0 and not b.attisdropped
join pg_catalog.pg_attribute as a
    on a.attrelid = %(production)s::oid and a.attname = b.attname and a.attgenerated = '' and a.attidentity = ''
left join pg_catalog.pg_attrdef as f on f.adrelid = a.attrelid and f.adnum = a.attnum
left join pg_catalog.pg_attrdef as g on g.adrelid = b.attrelid and g.adnum = b.attnum
where i.oid = %(incoming)s::oid and b.attgenerated = '' and b.attidentity = ''
    and (
        cutover.settled(pg_get_expr(f.adbin, f.adrelid))
        is distinct from cutover.settled(pg_get_expr(g.adbin, g.adrelid))
        or exists (
            select from pg_catalog.pg_depend as d
            where d.classid = 'pg_catalog.pg_attrdef'::regclass and d.objid = g.oid
                and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = any(%(tables)s::oid[])
                and d.refobjid <> f.adrelid
        )
        or exists (
            select from pg_catalog.pg_depend as d
            where d.classid = 'pg_catalog.pg_attrdef'::regclass and d.objid = g.oid
                and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = f.adrelid
        )
    )
