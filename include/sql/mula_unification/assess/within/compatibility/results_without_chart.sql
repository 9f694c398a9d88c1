-- Results one of whose charts does not exist
select count(*) as found
from public.compatibility_results as r
where
    not exists (select from public.birth_charts as c where c.id = r.chart1_id)
    or (r.chart2_id is not null and not exists (select from public.birth_charts as c where c.id = r.chart2_id))
