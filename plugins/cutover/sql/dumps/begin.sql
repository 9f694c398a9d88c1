-- The moment of this transaction, for `pg_dump --snapshot` to be of the same.
select
    pg_export_snapshot() as snapshot,
    clock_timestamp() as taken_at
