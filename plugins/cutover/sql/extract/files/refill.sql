-- Of a file that was read before, what a later one has lost, and nothing that raw does not have: whoever was erased
-- since then stays erased. Of a key, its last line.
with
latest as (
    select distinct on (f.{key}) f.*
    from pg_temp.fetched as f
    order by f.{key}, f.source_line desc
),

before as (
    select
        stored.{key},
        (stored.api_response is distinct from latest.api_response) as is_other
    from {raw} as stored
    inner join latest on stored.{key} = latest.{key}
),

stored as (
    update {raw} as stored
    set
        {assignments},
        api_response = latest.api_response,
        sync_id = %(sync_id)s,
        page_no = %(page_no)s,
        source_file = %(name)s,
        source_line = latest.source_line,
        api_synced_at = clock_timestamp()
    from latest
    where
        stored.{key} = latest.{key}
        and (stored.source_file is null or stored.source_file collate "C" < %(name)s collate "C")
    returning stored.{key}
)

select
    0 as new,
    count(*) filter (where before.is_other) as changed,
    0 as returned,
    (select count(*) from latest) as keys
from stored
inner join before on stored.{key} = before.{key}
