-- A lead is a customer exactly when the person has a profile, and then points at it.
select
    lead.id as lead_id,
    lead.stage,
    lead.user_id,
    p.id as profile_id
from staging.leads as lead
left join staging.unified_profiles as p on lead.email = p.email
where
    lead.user_id is distinct from p.id
    or (lead.stage = 'customer') <> (p.id is not null)
