-- The first launch since the newest rollback; where a rollback was taken back itself, the newest launch.
insert into platform.launch (swapped_at, entry)
select
    coalesce(
        min(recorded_at) filter (where entry > last_rollback.entry_number),
        max(recorded_at)
    ) as swapped_at,
    max(entry) as entry
from cutover.ledger
cross join (
    select coalesce(max(entry), 0) as entry_number
    from cutover.ledger
    where migration = 'mula_unification' and action = 'rollback'
) as last_rollback
where migration = 'mula_unification' and action = 'swap'
having max(recorded_at) is not null
on conflict (only_one) do update set swapped_at = excluded.swapped_at, entry = excluded.entry;
