-- A step as it was. Its beginning stays when it is done again.
insert into cutover.timeline as kept (run, step, position, started_at, ended_at, note)
values (%(run)s, %(step)s, 99, %(started_at)s, %(ended_at)s, %(note)s)
on conflict (run, step) do update set
    started_at = coalesce(kept.started_at, excluded.started_at),
    ended_at = excluded.ended_at,
    note = excluded.note
