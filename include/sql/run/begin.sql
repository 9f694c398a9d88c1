insert into cutover.run (run, migration, dag_id, dag_run_id, triggered_by, parameters)
values (%(run)s, %(migration)s, %(dag_id)s, %(dag_run_id)s, %(triggered_by)s, %(parameters)s)
on conflict (run) do update set parameters = excluded.parameters
