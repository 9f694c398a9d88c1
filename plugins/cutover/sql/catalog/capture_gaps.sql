-- Why it is not proved that every write to these tables since a snapshot was recorded: one line for each reason, none
-- if it is. A trigger that is there, always fires, and has not been touched since the snapshot was taken (or since the
-- transaction that put the table in place) has fired for every write: PostgreSQL writes its row anew when it is made,
-- switched off or on, whoever does so. 32 bits of a transaction's number are kept; the rest is that of our time.
with captured as (
    select
        c.oid as relid,
        format('%%I.%%I', n.nspname, c.relname) as table_name,
        w.tgname,
        w.tgtype
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    cross join lateral (values ('cutover_capture', 29), ('cutover_capture_truncate', 32)) as w (tgname, tgtype)
    where c.oid = any(%(tables)s::oid[])
),

clock as (
    select pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::numeric as next_xid
),

found as (
    select
        c.*,
        t.oid as trigger,
        t.tgenabled,
        (
            t.tgfoid = to_regprocedure('cutover.capture()')
            or t.tgfoid = coalesce(to_regprocedure(format('cutover.capture_%%s()', c.relid)), 0)
        )
        and t.tgtype = c.tgtype and t.tgconstraint = 0
        and t.tgqual is null and t.tgattr::text = '' and t.tgnargs = 0 as is_ours,
        t.xmin as xid,
        (
            t.xmin::text::numeric
            + 4294967296
            * (div(k.next_xid, 4294967296) - (t.xmin::text::numeric > mod(k.next_xid, 4294967296))::integer)
        )::text as full_xid
    from captured as c
    cross join clock as k
    left join pg_catalog.pg_trigger as t on t.tgrelid = c.relid and t.tgname = c.tgname and not t.tgisinternal
),

judged as (
    select
        f.*,
        case
            when f.trigger is null then format('its trigger %%s is gone', f.tgname)
            when not f.is_ours then format('its trigger %%s is another one by now', f.tgname)
            when f.tgenabled <> 'A' then format('its trigger %%s does not fire for everybody any more', f.tgname)
            when
                f.xid::text::bigint > 2 and f.full_xid <> coalesce(%(except_xid)s::text, '')
                and f.full_xid not like '-%%'
                and not pg_catalog.pg_visible_in_snapshot(f.full_xid::xid8, %(since)s::pg_snapshot)
                then format('its trigger %%s was made, or switched off and on, meanwhile', f.tgname)
        end as difference
    from found as f
)

select
    j.relid,
    j.table_name,
    j.difference,
    j.full_xid,
    l.action || ' ' || l.run || ' of ' || l.migration as entry,
    case
        when current_setting('track_commit_timestamp')::boolean and j.trigger is not null and j.xid::text::bigint > 2
            then pg_catalog.pg_xact_commit_timestamp(j.xid)
    end as touched_at,
    -- what the engine recorded last before that: it is not known to the second otherwise
    case
        when j.trigger is not null and j.xid::text::bigint > 2
            then (select max(p.recorded_at) from cutover.phase as p where p.xid < j.full_xid::xid8)
    end as not_before
from judged as j
left join cutover.ledger as l on l.xid::text = j.full_xid
where j.difference is not null
union all
select
    c.oid,
    format('%%I.%%I', n.nspname, c.relname),
    format('the table %%s inherits from it, and its rows are not recorded', h.inhrelid::regclass),
    null,
    null,
    null,
    null
from pg_catalog.pg_inherits as h
join pg_catalog.pg_class as c on c.oid = h.inhparent
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.oid = any(%(tables)s::oid[])
union all
-- ALTER COLUMN ... TYPE ... USING makes every row anew and fires no trigger. It writes the column's row of the
-- catalogue, too; whoever only packs the table (VACUUM FULL, CLUSTER) or empties it (which is recorded) does not.
select
    c.oid,
    format('%%I.%%I', n.nspname, c.relname),
    format(
        'all its rows were written anew, by an ALTER TABLE of %%s',
        string_agg(quote_ident(a.attname), ', ' order by a.attnum)
    ),
    null,
    null,
    null,
    null
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum > 0
where c.oid = any(%(tables)s::oid[])
    and c.relfilenode <> (%(filenodes)s::jsonb ->> c.oid::text)::oid
    and not cutover.is_seen(a.xmin, %(since)s::pg_snapshot)
    and a.xmin::text::numeric <> mod(coalesce(%(except_xid)s::text, '0')::numeric, 4294967296)
group by c.oid, n.nspname, c.relname
order by table_name, difference
