-- Every source row is accounted for: read = staged + merged + left out + rejected, for every table of both sources.
select
    source.name as source,
    balance.read,
    balance.staged,
    balance.merged,
    balance.left_out,
    balance.rejected,
    balance.read - balance.staged - balance.merged - balance.left_out - balance.rejected as unaccounted
from (
    values
    ('dasha_users'),
    ('dasha_birth_charts'),
    ('dasha_dasha_data'),
    ('dasha_subscriptions'),
    ('dasha_fcm_tokens'),
    ('dasha_user_preferences'),
    ('compatibility_users'),
    ('compatibility_birth_charts'),
    ('compatibility_results'),
    ('compatibility_subscriptions'),
    ('compatibility_fcm_tokens'),
    ('compatibility_user_preferences')
) as source (name)
left join cutover.reconciliation as balance on source.name = balance.source and balance.run = %(run)s
where
    balance.source is null
    or balance.read <> balance.staged + balance.merged + balance.left_out + balance.rejected
union all
-- in a repeat the unified database is accounted for, too
select
    source,
    read,
    staged,
    merged,
    left_out,
    rejected,
    read - staged - merged - left_out - rejected as unaccounted
from cutover.reconciliation
where
    run = %(run)s
    and source like 'unified\_%%'
    and read <> staged + merged + left_out + rejected
