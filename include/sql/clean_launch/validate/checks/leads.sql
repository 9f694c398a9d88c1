-- A lead is a customer exactly when the person has a profile, and then points at it.
select
    lead.id as lead_id,
    lead.stage,
    lead.user_id,
    p.id as profile_id
from staging.leads as lead
-- a member's profile makes no customer
left join staging.users as u on lead.email = u.email
left join staging.unified_profiles as p on u.id = p.id
where
    lead.user_id is distinct from p.id
    or (lead.stage = 'customer') <> (p.id is not null)
