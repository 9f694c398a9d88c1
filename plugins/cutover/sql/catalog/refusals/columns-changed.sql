-- A column that production and the incoming table do not have alike: somebody has changed the table since it was
-- staged, or since it went to the backup. Rows of one shape cannot take the place of rows of another.
with shape as (
    select
        p.production,
        r.relid,
        a.attname,
        row_number() over (partition by r.relid order by a.attnum) as position,
        concat_ws(
            ' ', format_type(a.atttypid, a.atttypmod), case
                when a.attnotnull and not exists (
                        select from pg_catalog.pg_constraint as k
                        where k.conrelid = a.attrelid and k.contype = 'n' and k.conkey = array[a.attnum]
                            and not k.convalidated
                    ) then 'not null'
            end,
            'collate ' || case when a.attcollation <> y.typcollation then a.attcollation::regcollation::text end,
            'generated ' || case a.attgenerated when 's' then 'stored' when 'v' then 'virtual' end,
            'as ' || case when a.attgenerated <> '' then cutover.settled(pg_get_expr(f.adbin, f.adrelid)) end
        ) as definition
    from unnest(%(replaced)s::oid[], %(incoming)s::oid[]) as p (production, incoming)
    cross join lateral (values (p.production), (p.incoming)) as r (relid)
    join pg_catalog.pg_attribute as a on a.attrelid = r.relid and a.attnum > 0 and not a.attisdropped
    join pg_catalog.pg_type as y on y.oid = a.atttypid
    left join pg_catalog.pg_attrdef as f on f.adrelid = a.attrelid and f.adnum = a.attnum
),

live as (
    select s.*
    from shape as s
    where s.relid = s.production
),

incoming as (
    select s.*
    from shape as s
    where s.relid <> s.production
)

select
    coalesce(l.production, i.production)::regclass::text
    || '.'
    || quote_ident(coalesce(l.attname, i.attname)) as object,
    case
        when
            i.attname is null
            then format('production has this column (%%s), the incoming table has it not', l.definition)
        when
            l.attname is null
            then format('the incoming table has this column (%%s), production has it not', i.definition)
        when l.definition <> i.definition
            then format('in production it is %%s, in the incoming table %%s', l.definition, i.definition)
        else format('in production it is column %%s, in the incoming table column %%s', l.position, i.position)
    end as why,
    case
        when %(is_rollback)s::boolean
            then 'take that change of the table back; then preview the rollback again.'
        else 'bring the migration''s staging DDL to production''s shape if need be; then start a new run.'
    end as remedy
from live as l
full join incoming as i on i.production = l.production and i.attname = l.attname
where l.definition is distinct from i.definition
    -- where one is missing, those behind it only move up
    or (
        l.position <> i.position
        and not exists (
            select
            from live as a
            full join incoming as b on b.production = a.production and b.attname = a.attname
            where coalesce(a.production, b.production) = l.production and (a.attname is null or b.attname is null)
        )
    )
