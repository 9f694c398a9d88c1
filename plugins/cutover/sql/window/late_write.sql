insert into cutover.late_write (run, moment, source, written, removed)
values (%(run)s, %(moment)s, %(source)s, %(written)s, %(removed)s)
on conflict (run, moment, source) do update set
    written = excluded.written,
    removed = excluded.removed,
    looked_at = clock_timestamp()
