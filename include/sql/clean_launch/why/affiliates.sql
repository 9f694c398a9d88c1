-- The contact that carries the tag of affiliates.
select
    'systemeio_contacts' as raw_table,
    profile.systemeio_id as raw_id,
    'contact' as role
from public.affiliates as affiliate
inner join public.unified_profiles as profile on affiliate.user_id = profile.id
where
    affiliate.id = $1::uuid
    and profile.systemeio_id is not null
