update {raw} as stored set gone_at = clock_timestamp()
where
    stored.gone_at is null
    and not exists (select from pg_temp.fetched as f where f.{key} = stored.{key})
    and not exists (
        select
        from cutover.rejects as r
        where r.file_id = %(file_id)s and r.source_id = stored.{key}::text
    )
