-- The account whose migration the row records; rows of the unified application have no other origin.
select
    (metadata ->> 'source') || '_users' as raw_table,
    metadata ->> 'legacy_user_id' as raw_id,
    'account' as role
from public.activity_log
where
    id = $1::uuid
    and action = 'account_migrated'
