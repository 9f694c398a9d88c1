-- Tell this one by this way, if it is still news, has not been told and nobody else is telling it. One row then,
-- none otherwise.
insert into cutover.delivery as d (event_id, way, claimed_until)
select
    n.event_id,
    %(way)s,
    clock_timestamp() + %(seconds)s * interval '1 second'
from cutover.news as n
where n.event_id = %(event)s
on conflict (event_id, way) do update
    set
        claimed_until = excluded.claimed_until,
        tries = d.tries + 1
    where d.delivered_at is null and d.claimed_until < clock_timestamp() and d.tries < %(tries)s
returning d.tries
