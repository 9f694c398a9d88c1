-- The DAGs that have begun a run of this migration.
select distinct r.dag_id
from cutover.run as r
where r.migration = %(migration)s
order by r.dag_id
