select r.run
from cutover.run as r
left join cutover.ledger as l on r.run = l.run
where %(name)s in (r.run, r.dag_run_id, l.entry::text)
