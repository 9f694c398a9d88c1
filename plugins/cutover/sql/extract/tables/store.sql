-- New rows in, changed ones over the old; a row that is as it was is not written.
with
before as (
    select
        stored.{key},
        stored.gone_at is not null as was_gone
    from {raw} as stored
    inner join pg_temp.fetched as fetched on stored.{key} = fetched.{key}
),

stored as (
    insert into {raw} as stored ({columns}, content_hash, sync_id, api_synced_at, gone_at)
    select
        {columns},
        content_hash,
        sync_id,
        api_synced_at,
        gone_at
    from pg_temp.fetched
    on conflict ({key}) do update
        set
            {assignments},
            content_hash = excluded.content_hash,
            sync_id = excluded.sync_id,
            api_synced_at = excluded.api_synced_at,
            gone_at = null
        where
        row({before}) is distinct from row({after})
        or stored.content_hash is distinct from excluded.content_hash
        or stored.gone_at is not null
    returning {key}
)

select
    count(*) filter (where before.{key} is null) as new,
    count(*) filter (where not before.was_gone) as changed,
    count(*) filter (where before.was_gone) as returned
from stored
left join before on stored.{key} = before.{key}
