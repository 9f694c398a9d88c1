-- The accounts that the person has in both sources.
select
    source || '_users' as raw_table,
    legacy_user_id::text as raw_id,
    'account' as role
from public.legacy_identities
where user_id = $1::uuid
