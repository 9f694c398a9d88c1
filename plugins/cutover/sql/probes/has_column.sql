select pg_catalog.to_json(exists (
    select from pg_catalog.pg_attribute as a
    where a.attrelid = pg_catalog.to_regclass({table}) and a.attname = {name} and a.attnum > 0 and not a.attisdropped
)) as has_column
