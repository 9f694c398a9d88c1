-- Once clients wait for a rehearsal: nothing of it may take as long as in a swap. Its entry gets a number from a file
-- of the sequence that goes with this transaction, so that none is left out in the ledger. As one DO statement, because
-- psycopg takes an ALTER for a reason to forget prepared statements.
do $do$
begin
    execute format(
        'alter sequence %s restart with {entry}', pg_get_serial_sequence('cutover.ledger', 'entry')
    );
    perform set_config('statement_timeout', {bound}, true);
end $do$
