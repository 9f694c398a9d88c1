-- The columns of a table as its definition says them.
select
    a.attname::text as name,
    quote_ident(a.attname) as written,
    format_type(a.atttypid, a.atttypmod) as type,
    y.typcategory = 'A' as is_array,
    a.attnotnull as is_required,
    pg_get_expr(d.adbin, d.adrelid) as expression,
    a.attgenerated <> '' as is_generated,
    case a.attidentity when 'a' then 'always' when 'd' then 'by default' end as identity,
    y.typtype = 'b' and y.typnamespace = 'pg_catalog'::regnamespace as is_built_in
from pg_catalog.pg_attribute as a
inner join pg_catalog.pg_type as y on a.atttypid = y.oid
left join pg_catalog.pg_attrdef as d on a.attrelid = d.adrelid and a.attnum = d.adnum
where a.attrelid = %(oid)s and a.attnum > 0 and not a.attisdropped
order by a.attnum
