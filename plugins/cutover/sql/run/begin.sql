-- One statement, so that two that begin at once cannot both be first. A name that is another run's, and parameters
-- that somebody has been asked about, stay as they are: then no row comes back.
insert into cutover.run as known (run, migration, dag_id, dag_run_id, triggered_by, parameters)
values (%(run)s, %(migration)s, %(dag_id)s, %(dag_run_id)s, %(triggered_by)s, %(parameters)s)
on conflict (run) do update
    set parameters = excluded.parameters
    where
    known.migration = excluded.migration
    and known.dag_id = excluded.dag_id
    and known.dag_run_id = excluded.dag_run_id
    and known.asked_at is null
returning known.run
