-- Whether the unified database is there, and may be read.
select
    to_regclass('public.users') is not null as has_people,
    to_regclass('public.legacy_identities') is not null
    and has_column_privilege('public.legacy_identities', 'proved_at', 'update') as may_prove,
    to_regclass('public.subscriptions') is not null
    and to_regclass('platform.stripe_event') is not null
    and has_column_privilege('public.subscriptions', 'status', 'update') as may_follow,
    (select count(*) from platform.launch) > 0 as is_launched,
    (select count(*) from platform.signing_key where retired_at is null) > 0 as has_key;
