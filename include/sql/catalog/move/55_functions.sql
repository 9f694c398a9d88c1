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
        -- a new function starts with default privileges: take them all, then give what the old one had
        select
            3,
            format(
                'revoke all on %%s %%s from %%s cascade',
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
                )
            )
        where b.is_new
        union all
        select
            4,
            format(
                'grant execute on %%s %%s to %%s%%s',
                case b.prokind when 'p' then 'procedure' else 'function' end,
                b.signature,
                case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
                case when a.is_grantable then ' with grant option' end
            )
        from aclexplode(coalesce(b.proacl, acldefault('f', b.proowner))) as a
        where b.is_new
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
    ) as s
-- a function may call another bound one in its body, which then must be there first
order by
    case
        when b.oid = any(%(argument_functions)s::oid[]) then 1 when b.oid = any(%(result_functions)s::oid[]) then 2 else
            3
    end,
    b.oid,
    s.position
