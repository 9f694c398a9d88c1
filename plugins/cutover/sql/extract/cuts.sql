-- Ids that cut the list into lanes of equal length, in the order in which it shows them: the greatest first.
select cut::text
from (
    select percentile_disc(%(shares)s::double precision[]) within group (order by id desc) as cuts
    from {raw}
    where gone_at is null
) as quantile, unnest(cuts) as found (cut)
order by found.cut desc
