-- A launch in force.
insert into cutover.ledger (
    run, migration, action, backup_schema, fingerprint, snapshot, xid, started_at, locked_at, attempts, tables, carried
)
values (
    'launch', 'mula_unification', 'swap', 'backup_launch', 'of the bench', pg_current_snapshot(), pg_current_xact_id(),
    now(), now(), 1, '[]', '[]'
)
