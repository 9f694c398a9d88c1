-- Columns of a raw table: what the extraction declares to be read out of a response.
select a.attname::text as column_name
from pg_catalog.pg_attribute as a
where a.attrelid = to_regclass(format('raw.%%I', %(raw_table)s::text)) and a.attnum > 0 and not a.attisdropped
