-- How many statements the role that asks may not read.
select count(*) as hidden
from {statements} as s
where s.query = %(hidden)s
    and s.dbid = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
