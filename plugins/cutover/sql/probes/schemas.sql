-- The schemas of a search_path that are there. Asked with that path: nothing in it may be looked up by a bare name.
select pg_catalog.current_schemas(false) as schemas
