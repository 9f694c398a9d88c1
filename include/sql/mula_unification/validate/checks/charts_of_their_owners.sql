-- What hangs on an account goes where its account goes: charts, periods, results and subscriptions, by the sources' own
-- user ids, and not by the columns that the transformation has made.
with
source_row as (
    select
        'dasha' as source,
        'birth_charts' as table_name,
        id::text as id,
        user_id::text as user_id
    from input.dasha_birth_charts
    union all
    select
        'compatibility' as source,
        'birth_charts' as table_name,
        id::text as id,
        user_id::text as user_id
    from input.compatibility_birth_charts
    union all
    select
        'dasha' as source,
        'dasha_data' as table_name,
        id::text as id,
        user_id::text as user_id
    from input.dasha_dasha_data
    union all
    select
        'compatibility' as source,
        'compatibility_results' as table_name,
        id::text as id,
        user_id::text as user_id
    from input.compatibility_results
    union all
    select
        'dasha' as source,
        'subscriptions' as table_name,
        id::text as id,
        user_id::text as user_id
    from input.dasha_subscriptions
    union all
    select
        'compatibility' as source,
        'subscriptions' as table_name,
        id::text as id,
        user_id::text as user_id
    from input.compatibility_subscriptions
),

staged_row as (
    select
        'birth_charts' as table_name,
        id,
        user_id
    from staging.birth_charts
    union all
    select
        'dasha_data' as table_name,
        id,
        user_id
    from staging.dasha_data
    union all
    select
        'compatibility_results' as table_name,
        id,
        user_id
    from staging.compatibility_results
    union all
    select
        'subscriptions' as table_name,
        id,
        user_id
    from staging.subscriptions
)

select
    source_row.source,
    source_row.table_name,
    source_row.id as legacy_id,
    staged_row.user_id,
    identity.user_id as owner_id
from source_row
inner join staged_row
    on
        source_row.table_name = staged_row.table_name
        and md5(
            'mula_unification/' || source_row.table_name || '/' || source_row.source || '/' || source_row.id
        )::uuid = staged_row.id
left join staging.legacy_identities as identity
    on source_row.source = identity.source and source_row.user_id::text = identity.legacy_user_id
where
    identity.user_id is distinct from staged_row.user_id
    -- moved by hand in the unified database
    and not exists (
        select from input.live_changed as change where change.id = staged_row.id and not change.is_deleted
    )
