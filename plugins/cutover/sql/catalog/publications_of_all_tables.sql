-- Publications that send every table there is, and so those of the engine's own schemas, too.
select p.pubname as name
from pg_catalog.pg_publication as p
where p.puballtables and p.pubname <> all(%(tolerated)s::text[])
order by 1
