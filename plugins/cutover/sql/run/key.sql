-- The name under which a run of Airflow is recorded here: the one it was given when it began.
select r.run
from cutover.run as r
where r.dag_id = %(dag_id)s and r.dag_run_id = %(dag_run_id)s
