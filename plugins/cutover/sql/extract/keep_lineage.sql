insert into cutover.lineage as kept (table_name, migration, statement)
values (%(table_name)s, %(migration)s, %(statement)s)
on conflict (table_name) do update
    set
        migration = excluded.migration,
        statement = excluded.statement
    where
    kept.statement is distinct from excluded.statement
    or kept.migration is distinct from excluded.migration
