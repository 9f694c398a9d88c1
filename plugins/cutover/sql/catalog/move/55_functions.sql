-- Functions bound to the old tables, made again from their own text, which now names the new ones.
with bound as (
    select
        p.*,
        p.oid::regprocedure as signature,
        p.oid = any(%(result_functions)s::oid[]) or p.oid = any(%(argument_functions)s::oid[]) as is_new
    from pg_catalog.pg_proc as p
    where p.oid = any(%(functions)s::oid[])
)

select
    b.signature::text as object,
    s.statement
from bound as b
cross join
    lateral (
        select
            1 as position,
            pg_get_functiondef(b.oid) as statement
        union all
        select
            2,
            format(
                'alter %%s %%s owner to %%I',
                case b.prokind when 'p' then 'procedure' else 'function' end,
                b.signature,
                pg_get_userbyid(b.proowner)
            )
        where b.is_new
        union all
        -- A new function starts with default privileges: take them all, then give what the old one had, in its order:
        -- who passes a right on has it by then. Clients wait for each statement: where both are PostgreSQL's own, none
        -- is needed.
        select
            3,
            format(
                'set local role %%1$I; revoke all on %%2$s %%3$s from %%4$s cascade;%%5$s reset role',
                pg_get_userbyid(b.proowner),
                case b.prokind when 'p' then 'procedure' else 'function' end,
                b.signature,
                (
                    select
                        string_agg(
                            distinct case
                                when g.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee))
                            end,
                            ', '
                        )
                    from (
                        select 0::oid as grantee
                        union all
                        select a.grantee
                        from pg_catalog.pg_default_acl as d
                        cross join lateral aclexplode(d.defaclacl) as a
                        where d.defaclobjtype = 'f'
                        union all
                        select b.proowner
                    ) as g
                ),
                (
                    select
                        string_agg(
                            format(
                                '%%s grant execute on %%s %%s to %%s%%s;',
                                case
                                    when a.grantor is distinct from a.earlier
                                        then format(' set local role %%I;', pg_get_userbyid(a.grantor))
                                end,
                                case b.prokind when 'p' then 'procedure' else 'function' end,
                                b.signature,
                                case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
                                case when a.is_grantable then ' with grant option' end
                            ),
                            ''
                            order by a.place
                        )
                    from (
                        select
                            g.*,
                            lag(g.grantor, 1, b.proowner) over (order by g.place) as earlier
                        from
                            aclexplode(coalesce(b.proacl, acldefault('f', b.proowner)))
                            with ordinality as g (grantor, grantee, privilege_type, is_grantable, place)
                    ) as a
                )
            )
        where
            b.is_new
            and (
                b.proacl is not null
                or exists (
                    select from pg_catalog.pg_default_acl as d
                    where d.defaclobjtype = 'f' and d.defaclrole = (current_user::regrole)::oid
                )
            )
        union all
        select
            5,
            format(
                'comment on %%s %%s is %%L',
                case b.prokind when 'p' then 'procedure' else 'function' end,
                b.signature,
                obj_description(b.oid, 'pg_proc')
            )
        where b.is_new and obj_description(b.oid, 'pg_proc') is not null
        union all
        -- making it again forgets this, too
        select
            6,
            format(
                'alter %%s %%s depends on extension %%I',
                case b.prokind when 'p' then 'procedure' else 'function' end,
                b.signature,
                e.extname
            )
        from pg_catalog.pg_depend as d
        join pg_catalog.pg_extension as e on e.oid = d.refobjid
        where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = b.oid and d.deptype = 'x'
    ) as s
-- a function may call another bound one in its body, which then must be there first
order by
    case
        when b.oid = any(%(argument_functions)s::oid[]) then 1 when b.oid = any(%(result_functions)s::oid[]) then 2 else
            3
    end,
    b.oid,
    s.position
