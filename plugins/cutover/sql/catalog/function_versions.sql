-- Which version of each function there is at this moment; of one that was dropped there is none.
select
    p.oid,
    concat_ws(' ', p.xmin, p.ctid) as version
from pg_catalog.pg_proc as p
where p.oid = any(%(functions)s::oid[])
