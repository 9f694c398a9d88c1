-- What live rows are before they change or go: the text of each value, as its own type writes it.
insert into cutover.restored_row (
    restoration_id, schema_name, table_name, key, operation, row_before, written_since
)
select
    %(number)s as restoration_id,
    %(schema)s as schema_name,
    %(table)s as table_name,
    array[{key}]::text[] as key,
    %(operation)s as operation,
    jsonb_object(array[{names}]::text[], array[{texts}]::text[]) as row_before,
    to_jsonb(array[{key}]::text[]) = any(%(written)s::text[]::jsonb[]) as written_since
from {copy} as t
where t.ctid = any(%(places)s::tid[])
