-- Rows without those of one transaction, whose number wraps around in a row.
select count(*) from {table} as t
where t.xmin::text::numeric is distinct from {without}::numeric % 4294967296
