-- How many leads of each month and tag have become customers; one lead counts once for each of its tags.
-- Runs with the reader's own rights: leads are personal data.
create or replace view public.marketing_funnel with (security_invoker = true) as
select
    date_trunc('month', lead.registered_at at time zone 'Asia/Manila')::date as month,
    tag.name as tag,
    count(*) as contacts,
    count(*) filter (where lead.stage = 'lead') as leads,
    count(*) filter (where lead.stage = 'customer') as customers,
    count(*) filter (where lead.first_paid_at is not null) as paid
from public.leads as lead
left join lateral unnest(lead.tags) as tag (name) on true
group by 1, 2
