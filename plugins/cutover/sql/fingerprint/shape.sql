-- What has a say in how the rows of a table read, beside the rows: which table it is, and its columns, by identity.
-- `is_plain`: a heap without children, so that each of its rows is one version of one row of its own.
select
    c.oid,
    c.relkind = 'r' and c.relpersistence <> 't'
    and exists (select from pg_catalog.pg_am as m where m.oid = c.relam and m.amname = 'heap')
    and not exists (select from pg_catalog.pg_inherits as i where i.inhparent = c.oid) as is_plain,
    (
        select
            string_agg(
                concat_ws(
                    ' ', a.attnum, quote_ident(a.attname), a.atttypid, a.atttypmod, a.attcollation,
                    'generated ' || nullif(a.attgenerated::text, '') || ' ' || pg_get_expr(d.adbin, d.adrelid)
                ),
                ', ' order by a.attnum
            )
        from pg_catalog.pg_attribute as a
        left join pg_catalog.pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ) as columns
from pg_catalog.pg_class as c
where c.oid = to_regclass(%(table)s)
