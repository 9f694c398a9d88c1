insert into cutover.failure (migration, run, dag_id, dag_run_id, task_id, is_scheduled, code, remedy)
values (
    %(migration)s, %(run)s, %(dag_id)s, %(dag_run_id)s, %(task_id)s, %(is_scheduled)s, %(code)s, %(remedy)s
)
