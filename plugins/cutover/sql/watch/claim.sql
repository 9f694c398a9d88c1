-- Watch a launch, if nobody else does: one row then, else none.
insert into cutover.watcher as w (run, watcher)
values (%(run)s, %(watcher)s)
on conflict (run) do update
    set
        watcher = excluded.watcher,
        looked_at = clock_timestamp()
    where w.watcher = excluded.watcher or w.looked_at < clock_timestamp() - make_interval(secs => %(gone_after_s)s)
returning w.watcher
