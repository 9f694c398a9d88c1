update {raw} as stored set gone_at = clock_timestamp()
where
    stored.gone_at is null
    and not exists (
        select 1
        from (
            select unnest(ids) as id
            from cutover.sync_page
            where sync_id = %(sync_id)s
        ) as seen
        where seen.id = stored.id::text
    )
