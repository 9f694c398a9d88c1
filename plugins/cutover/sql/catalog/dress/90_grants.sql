-- Owner and exactly production's grants, in their order: whatever default privileges added is taken away first. What a
-- role has passed on of its own rights is given in its name, after it has got them; and what the owner gives, in the
-- owner's: PostgreSQL takes any role that may give it and that we are a member of. The incoming schema is closed to
-- everybody but the engine and the owners, so the grants mean nothing before the move. For one transaction.
with recursive pair as (
    select
        p.oid as production,
        p.relowner,
        coalesce(p.relacl, acldefault('r', p.relowner)) as grants,
        i.oid::regclass as incoming_name,
        coalesce(i.relacl, acldefault('r', i.relowner)) as incoming_grants,
        i.oid as incoming,
        n.nspname as incoming_schema
    from pg_catalog.pg_class as p, pg_catalog.pg_class as i
    join pg_catalog.pg_namespace as n on n.oid = i.relnamespace
    where p.oid = %(production)s::oid and i.oid = %(incoming)s::oid
),

-- of the identity columns: production's sequence, and the incoming one of the same name
identity_sequence as (
    select
        s.relname,
        s.relowner,
        s.relacl,
        j.relacl as incoming_acl
    from pair
    join pg_catalog.pg_depend as d
        on d.refobjid = pair.production and d.classid = 'pg_catalog.pg_class'::regclass and d.deptype = 'i'
    join pg_catalog.pg_class as s on s.oid = d.objid and s.relkind = 'S'
    join pg_catalog.pg_namespace as n on n.nspname = pair.incoming_schema
    join pg_catalog.pg_class as j on j.relnamespace = n.oid and j.relname = s.relname and j.relkind = 'S'
),

target as (
    select
        1 as class,
        format('table %%s', pair.incoming_name) as name,
        '' as columns,
        pair.relowner as owner,
        pair.grants,
        pair.incoming_grants || pair.grants as either
    from pair
    union all
    select
        2,
        format('table %%s', pair.incoming_name),
        format(' (%%I)', c.attname),
        pair.relowner,
        c.attacl as grants,
        c.attacl as either
    from pair
    join pg_catalog.pg_attribute as c on c.attrelid = pair.production and c.attacl is not null and not c.attisdropped
    union all
    select
        3,
        format('sequence %%I.%%I', pair.incoming_schema, s.relname),
        '',
        s.relowner,
        coalesce(s.relacl, acldefault('s', s.relowner)),
        coalesce(s.relacl, acldefault('s', s.relowner)) || s.incoming_acl
    from pair
    cross join identity_sequence as s
),

given as (
    select
        t.class,
        t.name,
        t.columns,
        t.owner,
        a.grantor,
        a.grantee,
        a.is_grantable,
        min(a.place) as place,
        string_agg(a.privilege_type || t.columns, ', ' order by a.place) as privileges
    from target as t
    cross join
        lateral aclexplode(t.grants)
        with ordinality as a (grantor, grantee, privilege_type, is_grantable, place)
    group by t.class, t.name, t.columns, t.owner, a.grantor, a.grantee, a.is_grantable
),

-- who may give, how far from the owner, and from which place on: a right may stand before the one that it rests on, if
-- that was given once more
chain as (
    select
        t.name,
        t.columns,
        t.owner as grantor,
        0 as depth,
        0::bigint as place
    from target as t
    union
    select
        c.name,
        c.columns,
        g.grantee,
        c.depth + 1,
        greatest(c.place, case when g.columns = c.columns then g.place end)
    from chain as c
    join given as g on g.name = c.name and g.columns in (c.columns, '') and g.grantor = c.grantor and g.is_grantable
    where c.depth < 16
),

grantee as (
    select distinct
        t.name,
        case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end as role
    from target as t
    cross join lateral aclexplode(t.either) as a
    where t.class <> 2
    union
    select
        format('table %%s', pair.incoming_name),
        case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end
    from pair
    join pg_catalog.pg_attribute as b on b.attrelid = pair.incoming and b.attacl is not null
    cross join lateral aclexplode(b.attacl) as a
)

select
    'owner' as object,
    format('alter table %%s owner to %%I', pair.incoming_name, pg_get_userbyid(pair.relowner)) as statement
from pair
union all
select
    'as owner',
    format('set local role %%I', pg_get_userbyid(pair.relowner))
from pair
union all
(
    select
        'grants of ' || g.role,
        format('revoke all on %%s from %%s cascade', g.name, g.role)
    from grantee as g
    order by g.name, g.role
)
union all
(
    select
        'grant to ' || coalesce(pg_get_userbyid(nullif(g.grantee, 0)), 'public'),
        format(
            case
                when g.grantor = g.owner then '%%1$s'
                else 'reset role; grant usage on schema %%3$I to %%2$I; set local role %%2$I; %%1$s; reset role; '
                    'revoke usage on schema %%3$I from %%2$I; set local role %%4$I'
            end,
            format(
                'grant %%s on %%s to %%s%%s',
                g.privileges,
                g.name,
                case when g.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end,
                case when g.is_grantable then ' with grant option' end
            ),
            pg_get_userbyid(g.grantor),
            pair.incoming_schema,
            pg_get_userbyid(pair.relowner)
        )
    from given as g
    cross join pair
    left join
        lateral (
            select
                c.depth,
                greatest(c.place, g.place) as place
            from chain as c
            where c.name = g.name and c.columns = g.columns and c.grantor = g.grantor
            order by 2, 1
            limit 1
        ) as s
        on true
    order by g.class, g.name, g.columns, s.place, s.depth, g.place
)
union all
select
    'as before',
    'reset role'
