-- Take away whatever default privileges gave on a table that production does not have yet.
select distinct
    g.grantee::text as object,
    format(
        'revoke all on table %%s from %%s', c.oid::regclass,
        case when g.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end
    ) as statement
from pg_catalog.pg_class as c
cross join lateral aclexplode(c.relacl) as g
where c.oid = to_regclass(%(name)s) and g.grantee <> c.relowner
