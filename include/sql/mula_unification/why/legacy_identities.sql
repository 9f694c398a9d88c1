-- The account itself.
select
    source || '_users' as raw_table,
    legacy_user_id::text as raw_id,
    'account' as role
from public.legacy_identities
where id = $1::uuid
