-- What became of a message, by the sender that has claimed it: also when it was taken for dead meanwhile.
update cutover.announcement as n
set state = %(state)s, reason = %(reason)s, ended_at = clock_timestamp()
where
    n.announcement_id = %(announcement_id)s
    and n.attempts = %(attempts)s
    and n.state in ('claimed', 'unknown')
