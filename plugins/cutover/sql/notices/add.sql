insert into cutover.event (
    migration, kind, about, run, dag_id, dag_run_id, task_id, subject, lines, dag_file, ends_at
)
values (
    %(migration)s, %(kind)s, %(about)s, %(run)s, %(dag_id)s, %(dag_run_id)s, %(task_id)s, %(subject)s, %(lines)s,
    %(dag_file)s, clock_timestamp() + %(lasts)s
)
on conflict (migration, kind, about) do nothing
