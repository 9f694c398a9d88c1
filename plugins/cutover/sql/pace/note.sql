insert into cutover.progress (run, task_id, said) values (%(run)s, %(task)s, %(said)s)
on conflict (run, task_id) do update set said = excluded.said, noted_at = clock_timestamp()
