insert into cutover.workspace as held (run)
values (%(run)s)
on conflict (workspace) do update
    set run = excluded.run, claimed_at = clock_timestamp()
    where held.run <> excluded.run
