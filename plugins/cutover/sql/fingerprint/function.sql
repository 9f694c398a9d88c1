select string_agg(pg_get_functiondef(p.oid), '; ' order by p.oid::regprocedure::text collate "C")
from pg_proc as p
where
    p.pronamespace = to_regnamespace(quote_ident(%(schema)s))
    and p.proname = %(name)s
    and p.prokind in ('f', 'p')
