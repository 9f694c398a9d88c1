-- Only in the blocks that differ: of the others nothing was listed.
update {raw} as stored set gone_at = clock_timestamp()
where
    stored.gone_at is null
    and {differs}
    and not exists (select from pg_temp.listed as listed where listed.{key} = stored.{key})
