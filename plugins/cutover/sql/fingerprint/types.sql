-- The types that the columns of a table are made of, down to PostgreSQL's own: name, what it is, and what it is made of
-- by identity. A label that is renamed, a type that takes another's name: what a row says changes, and no row does.
with recursive reached (oid) as (
    select a.atttypid
    from pg_catalog.pg_attribute as a
    where a.attrelid = to_regclass(%(table)s) and a.attnum > 0 and not a.attisdropped
    union
    select part.oid
    from reached as r
    join pg_catalog.pg_type as t on t.oid = r.oid
    cross join
        lateral (
            select t.typelem as oid
            union all
            select t.typbasetype
            union all
            select a.atttypid
            from pg_catalog.pg_attribute as a
            where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
            union all
            select g.rngsubtype
            from pg_catalog.pg_range as g
            where t.oid in (g.rngtypid, g.rngmultitypid)
        ) as part
    where part.oid <> 0
)

select
    format_type(t.oid, null) as name,
    concat_ws(
        ' ', t.typtype::text, 'owner=' || pg_get_userbyid(t.typowner),
        'labels=' || (
            select string_agg(quote_literal(e.enumlabel), ',' order by e.enumsortorder)
            from pg_catalog.pg_enum as e
            where e.enumtypid = t.oid
        ),
        case when t.typtype = 'd' then 'base=' || format_type(t.typbasetype, t.typtypmod) end,
        case when t.typnotnull then 'not null' end, 'default=' || t.typdefault,
        'constraints=' || (
            select string_agg(k.conname || ' ' || pg_get_constraintdef(k.oid), ', ' order by k.conname collate "C")
            from pg_catalog.pg_constraint as k
            where k.contypid = t.oid
        ),
        'attributes=' || (
            select
                string_agg(
                    quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod), ', ' order by a.attnum
                )
            from pg_catalog.pg_attribute as a
            where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
        )
    ) as definition,
    concat_ws(
        ' ', t.oid, t.typelem, t.typbasetype, t.typtypmod, t.typoutput::oid,
        (
            select string_agg(e.oid || '=' || quote_literal(e.enumlabel), ',' order by e.oid)
            from pg_catalog.pg_enum as e
            where e.enumtypid = t.oid
        ),
        (
            select string_agg(a.attnum || ':' || a.atttypid || ':' || a.atttypmod, ',' order by a.attnum)
            from pg_catalog.pg_attribute as a
            where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
        )
    ) as identity
from reached as r
join pg_catalog.pg_type as t on t.oid = r.oid
-- PostgreSQL's own do not change
where t.oid >= 16384
order by t.oid
