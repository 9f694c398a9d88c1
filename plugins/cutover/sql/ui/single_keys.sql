-- Columns of a table that alone name one row: of its primary key and its unique constraints.
select a.attname::text as column_name
from pg_catalog.pg_index as i
join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
where i.indrelid = to_regclass(%(name)s) and i.indisunique and i.indnkeyatts = 1 and i.indpred is null
    and i.indkey[0] <> 0
order by i.indisprimary desc, a.attnum
