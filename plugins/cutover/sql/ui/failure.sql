-- Why a run has failed, as its task has said it last.
select
    f.code,
    f.remedy
from cutover.failure as f
where f.dag_id = %(dag_id)s and f.dag_run_id = %(dag_run_id)s and f.code is not null
order by f.failure_id desc
limit 1
