-- Owner and exactly production's grants: whatever default privileges added is taken away first. The incoming
-- schema is closed to everybody but the engine, so the grants mean nothing before the move.
with pair as (
    select
        p.oid as production,
        p.relowner,
        coalesce(p.relacl, acldefault('r', p.relowner)) as grants,
        i.oid::regclass as incoming_name,
        coalesce(i.relacl, acldefault('r', i.relowner)) as incoming_grants,
        i.oid as incoming
    from pg_catalog.pg_class as p, pg_catalog.pg_class as i
    where p.oid = %(production)s::oid and i.oid = %(incoming)s::oid
),

grantee as (
    select distinct
        pair.incoming_name,
        case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end as name
    from pair
    cross join lateral aclexplode(pair.incoming_grants || pair.grants) as a
    union
    select
        pair.incoming_name,
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
(
    select
        'grants of ' || g.name,
        format('revoke all on table %%s from %%s cascade', g.incoming_name, g.name)
    from grantee as g
    order by g.name
)
union all
(
    select
        'grant to ' || pg_get_userbyid(nullif(a.grantee, 0)),
        format(
            'grant %%s on table %%s to %%s%%s',
            string_agg(a.privilege_type, ', ' order by a.privilege_type),
            pair.incoming_name,
            case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
            case when a.is_grantable then ' with grant option' end
        )
    from pair
    cross join lateral aclexplode(pair.grants) as a
    group by pair.incoming_name, a.grantee, a.is_grantable
)
union all
(
    select
        'column grant to ' || pg_get_userbyid(nullif(a.grantee, 0)),
        format(
            'grant %%s (%%I) on table %%s to %%s%%s', a.privilege_type, c.attname, pair.incoming_name,
            case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
            case when a.is_grantable then ' with grant option' end
        )
    from pair
    join pg_catalog.pg_attribute as c on c.attrelid = pair.production and c.attacl is not null and not c.attisdropped
    cross join lateral aclexplode(c.attacl) as a
)
union all
-- the identity column's own sequence
(
    select
        'sequence grant',
        format(
            'grant %%s on sequence %%I.%%I to %%s%%s',
            string_agg(a.privilege_type, ', ' order by a.privilege_type),
            n.nspname,
            s.relname,
            case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
            case when a.is_grantable then ' with grant option' end
        )
    from pair
    join pg_catalog.pg_depend as d
        on d.refobjid = pair.production and d.classid = 'pg_catalog.pg_class'::regclass and d.deptype = 'i'
    join pg_catalog.pg_class as s on s.oid = d.objid and s.relkind = 'S'
    join pg_catalog.pg_class as i on i.oid = pair.incoming
    join pg_catalog.pg_namespace as n on n.oid = i.relnamespace
    cross join lateral aclexplode(coalesce(s.relacl, acldefault('s', s.relowner))) as a
    group by n.nspname, s.relname, a.grantee, a.is_grantable
)
