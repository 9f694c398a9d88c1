-- One row for every legacy account, and what the unified database has besides. The moment is that of the copy that
-- first brought the account in its present form, so that the same input gives the same row.
insert into staging.activity_log (id, user_id, action, metadata, created_at)
with migrated as (
    select
        md5('mula_unification/activity_log/' || source || '/' || legacy_id)::uuid as id,
        user_id,
        'account_migrated' as action,
        jsonb_build_object('source', source, 'legacy_user_id', legacy_id) as metadata,
        read_at as created_at
    from input.account
    where fate = 'staged'
)

select
    migrated.id,
    migrated.user_id,
    migrated.action,
    migrated.metadata,
    coalesce(live.created_at, migrated.created_at) as created_at
from migrated
left join input.live_activity_log as live on migrated.id = live.id
union all
select
    live.id,
    live.user_id,
    live.action,
    live.metadata,
    live.created_at
from input.live_activity_log as live
where not exists (select from migrated where migrated.id = live.id)
