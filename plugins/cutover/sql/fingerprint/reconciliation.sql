-- The balance of every source of a run, as one text.
select coalesce(jsonb_agg(to_jsonb(r) order by r.source collate "C"), '[]')::text
from cutover.reconciliation as r
where r.run = %(run)s
