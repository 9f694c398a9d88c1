-- The newest swap or rollback of a migration: how long clients waited, what was expected by those before it (the middle
-- of the last 20), and what became of the writes that it carried.
select
    l.locked_at,
    l.recorded_at,
    extract(epoch from l.recorded_at - l.locked_at)::double precision as lock_s,
    earlier.forecast_s,
    l.attempts,
    coalesce(carried.writes, 0)::bigint as carried,
    (select count(*) from cutover.quarantine as q where q.run = l.run) as quarantined,
    extract(epoch from clock_timestamp() - l.recorded_at)::double precision as age_s
from cutover.ledger as l
left join
    lateral (
        select percentile_cont(0.5) within group (order by b.lock_s) as forecast_s
        from (
            select extract(epoch from e.recorded_at - e.locked_at)::double precision as lock_s
            from cutover.ledger as e
            where e.migration = l.migration and e.entry < l.entry
            order by e.entry desc
            limit 20
        ) as b
    ) as earlier
    on true
left join
    lateral (
        select sum((c ->> 'carried')::bigint) as writes
        from jsonb_array_elements(l.carried) as c
    ) as carried
    on true
where l.migration = %(migration)s
order by l.entry desc
limit 1
