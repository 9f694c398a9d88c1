-- Where the materialized views lie that are made anew in the schema in which tables are staged.
select distinct n.nspname
from pg_catalog.pg_class as made
inner join pg_catalog.pg_namespace as s on made.relnamespace = s.oid
inner join pg_catalog.pg_class as live on made.relname = live.relname and live.relkind = 'm'
inner join pg_catalog.pg_namespace as n on live.relnamespace = n.oid
where s.nspname = %(incoming_schema)s and made.relkind = 'm'
