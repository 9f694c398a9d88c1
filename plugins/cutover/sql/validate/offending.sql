-- What a check finds, counted, and a sample of it.
with offending as materialized (
    {query}
),

sample as (select * from offending limit {limit})

select
    (select count(*) from offending) as offending,
    (select coalesce(jsonb_agg(to_jsonb(sample)), '[]') from sample) as sample
