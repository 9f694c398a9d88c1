-- The rows of one file: of a key, its last line; over what a file of an earlier name or the file itself has brought.
with
latest as (
    select distinct on (f.{key}) f.*
    from pg_temp.fetched as f
    order by f.{key}, f.source_line desc
),

before as (
    select
        stored.{key},
        stored.gone_at is not null as was_gone,
        (stored.api_response is distinct from latest.api_response) as is_other
    from {raw} as stored
    inner join latest on stored.{key} = latest.{key}
),

stored as (
    insert into {raw} as stored (
        {columns}, api_response, sync_id, page_no, source_file, source_line, api_synced_at
    )
    select
        {columns},
        api_response,
        %(sync_id)s as sync_id,
        %(page_no)s as page_no,
        %(name)s as source_file,
        source_line,
        clock_timestamp() as api_synced_at
    from latest
    on conflict ({key}) do update
        set
            {assignments},
            api_response = excluded.api_response,
            sync_id = excluded.sync_id,
            page_no = excluded.page_no,
            source_file = excluded.source_file,
            source_line = excluded.source_line,
            api_synced_at = excluded.api_synced_at,
            gone_at = null
        where
        -- no file has the row by now: whichever does may stand over it
        (%(whole)s or stored.source_file is null or excluded.source_file collate "C" >= stored.source_file collate "C")
        and (
            stored.gone_at is not null
            or excluded.api_response is distinct from stored.api_response
            -- of which file a row is decides what may stand over it; of whole lists only the last one counts
            or (not %(whole)s and excluded.source_file is distinct from stored.source_file)
        )
    returning {key}
)

select
    count(*) filter (where before.{key} is null) as new,
    count(*) filter (where before.is_other and not before.was_gone) as changed,
    count(*) filter (where before.was_gone) as returned,
    (select count(*) from latest) as keys
from stored
left join before on stored.{key} = before.{key}
