-- The schemas of a search_path that are there.
select array_agg(s.name) as schemas
from unnest(pg_catalog.current_schemas(false)) as s (name)
