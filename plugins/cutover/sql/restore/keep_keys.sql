-- Which rows came that were not there.
insert into cutover.restored_row (restoration_id, schema_name, table_name, key, operation, written_since)
select
    %(number)s as restoration_id,
    %(schema)s as schema_name,
    %(table)s as table_name,
    array[{key}]::text[] as key,
    'come' as operation,
    to_jsonb(array[{key}]::text[]) = any(%(written)s::text[]::jsonb[]) as written_since
from {copy} as t
where t.ctid = any(%(places)s::tid[])
