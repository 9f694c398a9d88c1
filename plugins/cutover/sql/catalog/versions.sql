-- One value that changes whenever a catalogue row behind the inventory of these relations and functions does: which
-- rows there are, and the transaction that wrote each; and whenever one does that capture_gaps.sql reads: triggers,
-- files of rows, tables that inherit. Nothing is rendered, so this is cheap enough for the time that production is
-- locked. (VACUUM and ANALYZE write their figures in place, and change nothing here.)
with named as (
    select to_regclass(w.name)::oid as oid
    from unnest(%(relations)s::text[]) as w (name)
),

relation as (
    select n.oid
    from named as n
    union
    -- indexes, the toast table and the sequences that columns own are relations of their own
    select c.reltoastrelid
    from named as n
    join pg_catalog.pg_class as c on c.oid = n.oid and c.reltoastrelid <> 0
    union
    select x.indexrelid
    from named as n
    join pg_catalog.pg_index as x on x.indrelid = n.oid
    union
    select d.objid
    from named as n
    join pg_catalog.pg_depend as d
        on d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = n.oid
            and d.classid = 'pg_catalog.pg_class'::regclass and d.deptype in ('a', 'i')
    join pg_catalog.pg_class as s on s.oid = d.objid and s.relkind = 'S'
),

object as (
    select
        'class' as kind,
        c.oid,
        0 as part,
        c.xmin::text as version
    from relation as r
    join pg_catalog.pg_class as c on c.oid = r.oid
    union all
    select
        'attribute',
        a.attrelid,
        a.attnum,
        a.xmin::text
    from relation as r
    join pg_catalog.pg_attribute as a on a.attrelid = r.oid
    where a.attnum > 0
    union all
    select
        'default',
        f.oid,
        0,
        f.xmin::text
    from relation as r
    join pg_catalog.pg_attrdef as f on f.adrelid = r.oid
    union all
    select
        'constraint',
        k.oid,
        0,
        k.xmin::text
    from relation as r
    join pg_catalog.pg_constraint as k on k.conrelid = r.oid
    union all
    select
        'index',
        x.indexrelid,
        0,
        x.xmin::text
    from relation as r
    join pg_catalog.pg_index as x on x.indrelid = r.oid
    union all
    select
        'trigger',
        t.oid,
        0,
        t.xmin::text
    from relation as r
    join pg_catalog.pg_trigger as t on t.tgrelid = r.oid and not t.tgisinternal
    union all
    select
        'child',
        h.inhrelid,
        h.inhseqno,
        h.xmin::text
    from relation as r
    join pg_catalog.pg_inherits as h on h.inhparent = r.oid
    union all
    select
        'policy',
        p.oid,
        0,
        p.xmin::text
    from relation as r
    join pg_catalog.pg_policy as p on p.polrelid = r.oid
    union all
    select
        'rule',
        w.oid,
        0,
        w.xmin::text
    from relation as r
    join pg_catalog.pg_rewrite as w on w.ev_class = r.oid
    union all
    select
        'publication',
        m.oid,
        0,
        m.xmin::text || '/' || p.xmin::text
    from relation as r
    join pg_catalog.pg_publication_rel as m on m.prrelid = r.oid
    join pg_catalog.pg_publication as p on p.oid = m.prpubid
    union all
    select
        'statistics',
        s.oid,
        0,
        s.xmin::text
    from relation as r
    join pg_catalog.pg_statistic_ext as s on s.stxrelid = r.oid
    union all
    select
        'sequence',
        q.seqrelid,
        0,
        q.xmin::text
    from relation as r
    join pg_catalog.pg_sequence as q on q.seqrelid = r.oid
    union all
    select
        'function',
        p.oid,
        0,
        p.xmin::text
    from pg_catalog.pg_proc as p
    where p.oid = any(array(select to_regprocedure(w.name)::oid from unnest(%(functions)s::text[]) as w (name)))
)

select
    count(*) as objects,
    coalesce(
        sum(hashtextextended(concat_ws(' ', o.kind, o.oid, o.part, o.version, d.objsubid, d.xmin::text), 0)), 0
    )::text
        as version
from object as o
left join pg_catalog.pg_description as d on d.objoid = o.oid and (o.part = d.objsubid or o.kind <> 'attribute')
