-- Every entry after the given one that took one of its tables out of its place, or put it there again.
select
    l.entry,
    l.run,
    l.action,
    l.report ->> 'proved_since' as proved_since,
    coalesce((l.report ->> 'carried_recorded')::boolean, false)
    or not exists (
        select from jsonb_array_elements(l.carried) as c where (c ->> 'carried')::bigint > 0
    ) as is_recorded,
    bool_or(t.value -> 'outgoing' = p.value -> 'incoming') as takes_out,
    bool_or(t.value -> 'incoming' = p.value -> 'incoming') as puts_in
from cutover.ledger as u
cross join lateral jsonb_array_elements(u.tables) as p
inner join cutover.ledger as l on u.entry < l.entry
cross join lateral jsonb_array_elements(l.tables) as t
where u.run = %(run)s
    and p.value -> 'incoming' <> 'null'
    and (t.value -> 'outgoing' = p.value -> 'incoming' or t.value -> 'incoming' = p.value -> 'incoming')
group by l.entry, l.run, l.action, l.report, l.carried
order by l.entry
