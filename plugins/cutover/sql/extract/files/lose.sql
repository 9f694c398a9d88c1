-- Rows of a file that it has no more, now that it was changed: they stay, and any file may stand over them. One that
-- was rejected is not lost. How many.
with
lost as (
    update {raw} as stored set
        source_file = null,
        source_line = null
    where
        stored.source_file = %(name)s
        and not exists (select from pg_temp.fetched as f where f.{key} = stored.{key})
        and not exists (
            select
            from cutover.rejects as r
            where r.file_id = %(file_id)s and r.source_id = stored.{key}::text
        )
    returning stored.{key}
)

select count(*) as rows from lost
