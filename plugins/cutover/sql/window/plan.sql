-- A step as it is planned; planned again, the new plan stands.
insert into cutover.timeline (run, step, position, planned_at)
values (%(run)s, %(step)s, %(position)s, %(planned_at)s)
on conflict (run, step) do update set
    position = excluded.position,
    planned_at = excluded.planned_at
