-- The preferences of every account of the person: their values were united.
select
    'dasha_user_preferences' as raw_table,
    origin.id::text as raw_id,
    'preferences' as role
from public.user_preferences as target
inner join public.legacy_identities as identity
    on target.user_id = identity.user_id and identity.source = 'dasha'
inner join raw.dasha_user_preferences as origin
    on identity.legacy_user_id = origin.user_id::text
where target.id = $1::uuid
union all
select
    'compatibility_user_preferences' as raw_table,
    origin.id::text as raw_id,
    'preferences' as role
from public.user_preferences as target
inner join public.legacy_identities as identity
    on target.user_id = identity.user_id and identity.source = 'compatibility'
inner join raw.compatibility_user_preferences as origin
    on identity.legacy_user_id = origin.user_id::text
where target.id = $1::uuid
