-- The entry of this transaction. Entries are written one at a time: the swap holds the turn of the database.
insert into cutover.ledger (
    run, migration, action, undoes, backup_schema, fingerprint, approval_id, approved_by, snapshot, xid,
    started_at, locked_at, attempts, tables, carried, report
)
values (
    %(run)s, %(migration)s, %(action)s, %(undoes)s, %(backup_schema)s, %(fingerprint)s, %(approval_id)s,
    %(approved_by)s, pg_current_snapshot(), pg_current_xact_id(), %(started_at)s, %(locked_at)s, %(attempts)s,
    %(tables)s, %(carried)s, %(report)s
)
returning (to_jsonb(ledger) - %(but)s::text[])::text
