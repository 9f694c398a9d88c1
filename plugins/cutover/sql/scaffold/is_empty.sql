-- Whether a table has no row.
select not exists (select from {table}) as is_empty
