-- Publications list the new tables, with the same columns and filters.
select
    quote_ident(p.pubname) as object,
    format(
        'alter publication %%I add table only %%s', p.pubname,
        string_agg(
            concat(
                m.prrelid::regclass::text,
                (
                    select ' (' || string_agg(quote_ident(a.attname), ', ' order by a.attnum) || ')'
                    from pg_catalog.pg_attribute as a
                    where a.attrelid = m.prrelid and a.attnum = any(m.prattrs::int2[])
                ),
                ' where (' || pg_get_expr(m.prqual, m.prrelid) || ')'
            ), ', only ' order by m.prrelid::regclass::text
        )
    ) as statement
from pg_catalog.pg_publication_rel as m
join pg_catalog.pg_publication as p on p.oid = m.prpubid
where m.prrelid = any(%(replaced)s::oid[])
group by p.pubname
