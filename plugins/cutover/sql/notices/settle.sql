-- What hung may have told all the same: it has one more try, and no other.
update cutover.delivery
set
    delivered_at = case when %(error)s::text is null then clock_timestamp() end,
    error = %(error)s,
    tries = case when %(hung)s then greatest(tries, %(tries)s - 1) else tries end,
    claimed_until = clock_timestamp()
where event_id = %(event)s and way = %(way)s
