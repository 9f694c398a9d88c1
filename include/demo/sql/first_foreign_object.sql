-- One thing in this database that came with neither PostgreSQL nor an extension; no row if there is none.
with of_extensions as (
    select objid from pg_depend
    where deptype = 'e'
)

select 'schema ' || quote_ident(nspname) as object
from pg_namespace
where nspname !~ '^pg_' and nspname not in ('public', 'information_schema')
union all
select format('public.%I', relname)
from pg_class
where relnamespace = to_regnamespace('public') and oid not in (select of_extensions.objid from of_extensions)
union all
select format('public.%I', proname)
from pg_proc
where pronamespace = to_regnamespace('public') and oid not in (select of_extensions.objid from of_extensions)
limit 1
