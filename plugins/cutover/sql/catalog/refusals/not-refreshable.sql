-- A materialized view is filled as its owner, who may have lost a right since it was made; of a view that it reads, as
-- the owner of that. Then nobody can refresh it today, and its new version cannot be filled either.
with recursive reader as (
    select
        m.oid as filled,
        m.oid,
        m.relowner as role
    from pg_catalog.pg_class as m
    where m.oid = any(%(restated)s::oid[]) and m.relkind = 'm' and m.relispopulated
    union
    select
        r.filled,
        v.oid,
        case
            when
                (
                    select coalesce(bool_or(o.option_value::boolean), false)
                    from pg_catalog.pg_options_to_table(v.reloptions) as o
                    where o.option_name = 'security_invoker'
                )
                then r.role
            else v.relowner
        end
    from reader as r
    join pg_catalog.pg_rewrite as w on w.ev_class = r.oid
    join pg_catalog.pg_depend as d
        on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = w.oid
            and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid <> r.oid
    join pg_catalog.pg_class as v on v.oid = d.refobjid and v.relkind = 'v'
),

lacking as (
    select distinct
        r.filled,
        r.role,
        d.refobjid as relation
    from reader as r
    join pg_catalog.pg_rewrite as w on w.ev_class = r.oid
    join pg_catalog.pg_depend as d
        on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = w.oid
            and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid <> r.oid
    join pg_catalog.pg_class as c on c.oid = d.refobjid and c.relkind in ('r', 'p', 'v', 'm', 'f')
    where
        case
            when d.refobjsubid > 0 then not has_column_privilege(r.role, c.oid, d.refobjsubid::smallint, 'select')
            -- some column is enough for a count
            else not has_any_column_privilege(r.role, c.oid, 'select')
        end
)

select
    l.filled::regclass::text as object,
    format(
        '%%s may not read %%s (any more), so nobody can refresh it, and its new version cannot be filled',
        string_agg(quote_ident(pg_get_userbyid(l.role)), ', ' order by l.relation),
        string_agg(l.relation::regclass::text, ', ' order by l.relation)
    ) as why,
    string_agg(
        format('grant select on %%s to %%I;', l.relation::regclass, pg_get_userbyid(l.role)), ' ' order by l.relation
    ) as remedy
from lacking as l
group by l.filled
