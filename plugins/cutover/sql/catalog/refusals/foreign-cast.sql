-- A cast of the application's, of a type that a column of the set has, or of a table that the swap writes to: it
-- runs wherever a value is turned into that other type, with the rights of whoever does so (`to_jsonb` uses casts to
-- json, for one).
select distinct
    format('cast (%%s as %%s)', format_type(c.castsource, null), format_type(c.casttarget, null)) as object,
    format(
        'it calls %%s, which %%I can change, and would run with the engine''s rights: columns of this type are in %%s',
        p.oid::regprocedure, r.rolname,
        (
            select string_agg(distinct b.attrelid::regclass::text, ', ' order by b.attrelid::regclass::text)
            from pg_catalog.pg_attribute as b
            where b.attrelid = any(%(written)s::oid[]) and b.attnum > 0 and b.atttypid in (c.castsource, c.casttarget)
        )
    ) as why,
    format('read the function, then: alter function %%s owner to %%I;', p.oid::regprocedure, current_user) as remedy
from pg_catalog.pg_cast as c
join pg_catalog.pg_proc as p on p.oid = c.castfunc
join pg_catalog.pg_language as l on l.oid = p.prolang
join pg_catalog.pg_roles as r on r.oid = p.proowner
join pg_catalog.pg_attribute as a on a.atttypid in (c.castsource, c.casttarget)
where a.attrelid = any(%(written)s::oid[]) and a.attnum > 0 and not a.attisdropped
    and p.pronamespace <> 'pg_catalog'::regnamespace and l.lanname not in ('internal', 'c')
    and not r.rolsuper and r.rolname <> current_user
