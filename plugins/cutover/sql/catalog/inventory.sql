-- Every catalogue fact about the given relations and functions, rendered by name: kind, object, definition.
--
-- Compared before and after a swap: a difference is something that the swap changed. Run with an empty
-- search_path, so that every name in a definition is qualified and the same in both. Clients wait for it: comments are
-- joined, since obj_description() is a query of its own for every object.
with relation as (
    select
        c.*,
        n.nspname,
        format('%%I.%%I', n.nspname, c.relname) as name
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.oid = any(array(select to_regclass(w.name)::oid from unnest(%(relations)s::text[]) as w (name)))
)

select
    'relation' as kind,
    r.name as object,
    concat_ws(
        ' ', r.relkind::text, 'owner=' || pg_get_userbyid(r.relowner), 'persistence=' || r.relpersistence::text,
        'row security=' || r.relrowsecurity || '/' || r.relforcerowsecurity,
        'replica identity=' || r.relreplident::text,
        'partition=' || r.relispartition,
        'method=' || (select a.amname from pg_catalog.pg_am as a where a.oid = r.relam),
        'tablespace=' || nullif(r.reltablespace, 0),
        'populated=' || case when r.relkind = 'm' then r.relispopulated end,
        'toast options=' || (
            select string_agg(o, ',' order by o)
            from pg_catalog.pg_class as t
            cross join lateral unnest(t.reloptions) as o
            where t.oid = r.reltoastrelid
        ),
        'depends on=' || (
            select string_agg(e.extname, ',' order by e.extname)
            from pg_catalog.pg_depend as d
            join pg_catalog.pg_extension as e on e.oid = d.refobjid
            where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = r.oid and d.deptype = 'x'
        ),
        'options=' || (select string_agg(o, ',' order by o) from unnest(r.reloptions) as o),
        'comment=' || note.description,
        'grants=' || (
            select string_agg(a::text, ',' order by a::text)
            from unnest(
                    coalesce(r.relacl, acldefault((case r.relkind when 'S' then 's' else 'r' end)::"char", r.relowner))
                ) as a
        )
    ) as definition
from relation as r
left join pg_catalog.pg_description as note
    on note.objoid = r.oid and note.classoid = 'pg_catalog.pg_class'::regclass and note.objsubid = 0
union all
select
    'column',
    r.name || '.' || quote_ident(a.attname),
    concat_ws(
        ' ', '#' || row_number() over (partition by r.oid order by a.attnum), format_type(a.atttypid, a.atttypmod),
        case when a.attnotnull then 'not null' end, 'default=' || pg_get_expr(d.adbin, d.adrelid),
        'generated=' || nullif(a.attgenerated::text, ''), 'identity=' || nullif(a.attidentity::text, ''),
        'collation=' || nullif(a.attcollation, 0)::regcollation::text, 'statistics=' || nullif(a.attstattarget, -1),
        'storage=' || a.attstorage::text, 'compression=' || nullif(a.attcompression::text, ''),
        'options=' || a.attoptions::text, 'comment=' || note.description,
        'grants=' || (select string_agg(g::text, ',' order by g::text) from unnest(a.attacl) as g)
    )
from relation as r
join pg_catalog.pg_attribute as a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
left join pg_catalog.pg_attrdef as d on d.adrelid = r.oid and d.adnum = a.attnum
left join pg_catalog.pg_description as note
    on note.objoid = r.oid and note.classoid = 'pg_catalog.pg_class'::regclass and note.objsubid = a.attnum
where r.relkind in ('r', 'p', 'v', 'm', 'f')
union all
select
    'constraint',
    r.name || ':' || quote_ident(k.conname),
    concat_ws(
        -- NOT VALID is compared without: the swap adds keys unvalidated and validates them after the lock
        ' ', case
            when k.contype in ('f', 'c') then regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', '')
            else pg_get_constraintdef(k.oid)
        end,
        'comment=' || note.description
    )
from relation as r
join pg_catalog.pg_constraint as k on k.conrelid = r.oid
left join pg_catalog.pg_description as note
    on note.objoid = k.oid and note.classoid = 'pg_catalog.pg_constraint'::regclass and note.objsubid = 0
union all
select
    'index',
    r.name || ':' || quote_ident(i.relname),
    concat_ws(
        ' ', pg_get_indexdef(x.indexrelid), case when x.indisclustered then 'clustered' end,
        case when x.indisreplident then 'replica identity' end, 'tablespace=' || nullif(i.reltablespace, 0),
        'depends on=' || (
            select string_agg(e.extname, ',' order by e.extname)
            from pg_catalog.pg_depend as d
            join pg_catalog.pg_extension as e on e.oid = d.refobjid
            where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = i.oid and d.deptype = 'x'
        ),
        'comment=' || note.description,
        'statistics=' || (
            select string_agg(a.attnum || ':' || a.attstattarget, ',' order by a.attnum)
            from pg_catalog.pg_attribute as a
            where a.attrelid = x.indexrelid and a.attstattarget >= 0
        )
    )
from relation as r
join pg_catalog.pg_index as x on x.indrelid = r.oid
join pg_catalog.pg_class as i on i.oid = x.indexrelid
left join pg_catalog.pg_description as note
    on note.objoid = x.indexrelid and note.classoid = 'pg_catalog.pg_class'::regclass and note.objsubid = 0
-- one that is invalid, left over from a failed CREATE INDEX CONCURRENTLY, stays with the old table
where r.relkind <> 't' and x.indisvalid
union all
select
    'trigger',
    r.name || ':' || quote_ident(t.tgname),
    concat_ws(
        ' ',
        pg_get_triggerdef(t.oid),
        'enabled=' || t.tgenabled::text,
        'depends on=' || (
            select string_agg(e.extname, ',' order by e.extname)
            from pg_catalog.pg_depend as d
            join pg_catalog.pg_extension as e on e.oid = d.refobjid
            where d.classid = 'pg_catalog.pg_trigger'::regclass and d.objid = t.oid and d.deptype = 'x'
        ),
        'comment=' || note.description
    )
from relation as r
join pg_catalog.pg_trigger as t on t.tgrelid = r.oid and not t.tgisinternal
left join pg_catalog.pg_description as note
    on note.objoid = t.oid and note.classoid = 'pg_catalog.pg_trigger'::regclass and note.objsubid = 0
where
    not exists (
        select from pg_catalog.pg_proc as p
        where p.oid = t.tgfoid and p.pronamespace = to_regnamespace('cutover') and p.proname ~ '^capture(_[0-9]+)?$'
    )
union all
select
    'policy',
    r.name || ':' || quote_ident(p.polname),
    concat_ws(
        ' ', p.polcmd, case when p.polpermissive then 'permissive' else 'restrictive' end,
        (
            select string_agg(case when o = 0 then 'public' else pg_get_userbyid(o)::text end, ',' order by o)
            from unnest(p.polroles) as o
        ),
        'using=' || pg_get_expr(p.polqual, p.polrelid), 'check=' || pg_get_expr(p.polwithcheck, p.polrelid),
        'comment=' || note.description
    )
from relation as r
join pg_catalog.pg_policy as p on p.polrelid = r.oid
left join pg_catalog.pg_description as note
    on note.objoid = p.oid and note.classoid = 'pg_catalog.pg_policy'::regclass and note.objsubid = 0
union all
select
    case when w.rulename = '_RETURN' then 'view definition' else 'rule' end,
    r.name || ':' || quote_ident(w.rulename),
    concat_ws(
        ' ', pg_get_ruledef(w.oid), 'enabled=' || w.ev_enabled::text, 'comment=' || note.description
    )
from relation as r
join pg_catalog.pg_rewrite as w on w.ev_class = r.oid
left join pg_catalog.pg_description as note
    on note.objoid = w.oid and note.classoid = 'pg_catalog.pg_rewrite'::regclass and note.objsubid = 0
union all
select
    'publication',
    p.pubname || ':' || r.name,
    concat_ws(
        ' ', 'where=' || pg_get_expr(m.prqual, m.prrelid),
        'columns=' || (
            select string_agg(a.attname, ',' order by a.attname)
            from pg_catalog.pg_attribute as a
            where a.attrelid = m.prrelid and a.attnum = any(m.prattrs::int2[])
        )
    )
from relation as r
join pg_catalog.pg_publication_rel as m on m.prrelid = r.oid
join pg_catalog.pg_publication as p on p.oid = m.prpubid
union all
select
    'statistics',
    r.name || ':' || quote_ident(s.stxname),
    concat_ws(
        ' ', pg_get_statisticsobjdef(s.oid), 'owner=' || pg_get_userbyid(s.stxowner),
        'target=' || nullif(s.stxstattarget, -1), 'comment=' || note.description
    )
from relation as r
join pg_catalog.pg_statistic_ext as s on s.stxrelid = r.oid
left join pg_catalog.pg_description as note
    on note.objoid = s.oid and note.classoid = 'pg_catalog.pg_statistic_ext'::regclass and note.objsubid = 0
union all
-- a sequence that a column owns: where it is, what it counts from, who may use it
select
    'sequence',
    r.name || '.' || quote_ident(a.attname),
    concat_ws(
        ' ', format('%%I.%%I', n.nspname, s.relname), d.deptype, 'owner=' || pg_get_userbyid(s.relowner),
        format(
            'start %%s by %%s from %%s to %%s cache %%s cycle %%s',
            q.seqstart,
            q.seqincrement,
            q.seqmin,
            q.seqmax,
            q.seqcache,
            q.seqcycle
        ),
        'comment=' || note.description,
        'grants=' || (
            select string_agg(g::text, ',' order by g::text)
            from unnest(coalesce(s.relacl, acldefault('s', s.relowner))) as g
        )
    )
from relation as r
join pg_catalog.pg_depend as d
    on d.refobjid = r.oid and d.refclassid = 'pg_catalog.pg_class'::regclass
        and d.classid = 'pg_catalog.pg_class'::regclass and d.deptype in ('a', 'i')
join pg_catalog.pg_class as s on s.oid = d.objid and s.relkind = 'S'
join pg_catalog.pg_namespace as n on n.oid = s.relnamespace
join pg_catalog.pg_sequence as q on q.seqrelid = s.oid
join pg_catalog.pg_attribute as a on a.attrelid = r.oid and a.attnum = d.refobjsubid
left join pg_catalog.pg_description as note
    on note.objoid = s.oid and note.classoid = 'pg_catalog.pg_class'::regclass and note.objsubid = 0
union all
select
    'function',
    p.oid::regprocedure::text,
    concat_ws(
        ' ', pg_get_functiondef(p.oid), 'owner=' || pg_get_userbyid(p.proowner),
        'depends on=' || (
            select string_agg(e.extname, ',' order by e.extname)
            from pg_catalog.pg_depend as d
            join pg_catalog.pg_extension as e on e.oid = d.refobjid
            where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype = 'x'
        ),
        'comment=' || note.description,
        'grants=' || (
            select string_agg(g::text, ',' order by g::text)
            from unnest(coalesce(p.proacl, acldefault('f', p.proowner))) as g
        )
    )
from pg_catalog.pg_proc as p
left join pg_catalog.pg_description as note
    on note.objoid = p.oid and note.classoid = 'pg_catalog.pg_proc'::regclass and note.objsubid = 0
where p.oid = any(array(select to_regprocedure(w.name)::oid from unnest(%(functions)s::text[]) as w (name)))
order by 1, 2
