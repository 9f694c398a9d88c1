-- Functions that writing to these tables, or DDL, sets off, and whose effect a ROLLBACK does not take back: what they
-- call is told by name from their text, so one too many may be found.
with recursive called as (
    select t.tgfoid as oid
    from pg_catalog.pg_trigger as t
    where t.tgrelid = any(%(tables)s::oid[]) and not t.tgisinternal and t.tgenabled <> 'D'
    union
    select e.evtfoid
    from pg_catalog.pg_event_trigger as e
    where e.evtenabled <> 'D'
    union
    select f.oid
    from called as c
    join pg_catalog.pg_proc as p on p.oid = c.oid
    join pg_catalog.pg_proc as f
        on position(lower(f.proname) || '(' in lower(regexp_replace(p.prosrc, '\s+\(', '(', 'g'))) > 0
    where f.pronamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
        and f.pronamespace <> coalesce(to_regnamespace('cutover'), 0::oid)
),

judged as (
    select
        p.oid,
        case
            when l.lanname not in ('internal', 'c') and not l.lanpltrusted
                then format('it is written in %%s, which may do anything', l.lanname)
            when l.lanname = 'c' and x.extname is not null
                then format('it is of the extension %%s', x.extname)
            when p.prosrc ~* '\mpg_logical_emit_message\s*\(\s*false'
                then 'it sends a logical message at once'
            when p.prosrc ~* '\m(lo_export|pg_file_write)\s*\(|\mto\s+program\M'
                then 'it writes to a file or a program'
        end as why
    from called as c
    join pg_catalog.pg_proc as p on p.oid = c.oid
    join pg_catalog.pg_language as l on l.oid = p.prolang
    left join pg_catalog.pg_depend as d
        on d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
    left join pg_catalog.pg_extension as x
        on d.refclassid = 'pg_catalog.pg_extension'::regclass and x.oid = d.refobjid
            and x.extname = any(array[
                'adminpack', 'aws_lambda', 'aws_s3', 'dblink', 'http', 'pg_background', 'pg_curl', 'pg_task', 'plproxy'
            ])
)

select
    j.oid::regprocedure::text as object,
    j.why
from judged as j
where j.why is not null
order by object
