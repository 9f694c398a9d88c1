-- What the query of pg_temp.cutover_read reads, through views as well, and which functions it calls; a materialized
-- view is read as it stands.
with recursive relation_read as (
    select 'pg_temp.cutover_read'::regclass::oid as oid
    union
    select d.refobjid
    from relation_read as r
    join pg_catalog.pg_class as c on c.oid = r.oid and c.relkind = 'v'
    join pg_catalog.pg_rewrite as w on w.ev_class = r.oid
    join pg_catalog.pg_depend as d
        on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = w.oid
            and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid <> r.oid
),

-- functions of pg_catalog are in no dependency, and in the parsed query like any other
function_called as (
    select distinct (regexp_matches(
        w.ev_action::text, ' :(?:funcid|opfuncid|aggfnoid|winfnoid) (\d+)', 'g'
    ))[1]::oid as oid
    from relation_read as r
    join pg_catalog.pg_class as c on c.oid = r.oid and c.relkind = 'v'
    join pg_catalog.pg_rewrite as w on w.ev_class = r.oid
)

select
    (
        select json_object_agg(r.oid, r.oid::regclass::text)
        from relation_read as r
        where r.oid <> 'pg_temp.cutover_read'::regclass
    ) as relations,
    (select array_agg(f.oid::bigint) from function_called as f) as functions
