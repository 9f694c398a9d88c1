-- Ledger entries of a migration, newest first.
select
    l.entry,
    l.run,
    l.action,
    l.undoes,
    l.approved_by,
    l.recorded_at,
    extract(epoch from l.recorded_at - l.locked_at) * 1000 as waited_ms,
    (r.review -> 'rehearsal' ->> 'hold_ms')::double precision as rehearsed_ms,
    l.attempts,
    l.fingerprint,
    (select coalesce(sum((c ->> 'carried')::bigint), 0) from jsonb_array_elements(l.carried) as c) as carried,
    (select coalesce(sum((c ->> 'quarantined')::bigint), 0) from jsonb_array_elements(l.carried) as c) as quarantined,
    c.issued_at is not null and c.left_behind = '[]' and c.not_validated = '[]' as certified
from cutover.ledger as l
left join cutover.certificate as c on l.run = c.run
left join cutover.run as r on l.run = r.run
where l.migration = %(migration)s and (%(before)s::bigint is null or l.entry < %(before)s::bigint)
order by l.entry desc
limit %(limit)s
