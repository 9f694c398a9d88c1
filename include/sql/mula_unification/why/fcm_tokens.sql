-- Every registration of this token by an account of the person.
select
    'dasha_fcm_tokens' as raw_table,
    origin.id::text as raw_id,
    'token' as role
from public.fcm_tokens as target
inner join public.legacy_identities as identity
    on target.user_id = identity.user_id and identity.source = 'dasha'
inner join raw.dasha_fcm_tokens as origin
    on identity.legacy_user_id = origin.user_id::text and origin.token = target.token
where target.id = $1::uuid
union all
select
    'compatibility_fcm_tokens' as raw_table,
    origin.id::text as raw_id,
    'token' as role
from public.fcm_tokens as target
inner join public.legacy_identities as identity
    on target.user_id = identity.user_id and identity.source = 'compatibility'
inner join raw.compatibility_fcm_tokens as origin
    on identity.legacy_user_id = origin.user_id::text and origin.token = target.token
where target.id = $1::uuid
