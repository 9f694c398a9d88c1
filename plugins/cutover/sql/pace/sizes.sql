-- What a load has written by now, committed or not, and what it is likely to come to: as much as is live.
select
    pg_table_size(to_regclass(%(staged)s)) as staged,
    pg_table_size(to_regclass(%(live)s)) as live
