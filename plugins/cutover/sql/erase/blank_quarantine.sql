-- Writes of or about a person that could not be carried: that there was one and why stays, what it was does not.
update cutover.quarantine as t
set
    key = null,
    old_row = null,
    new_row = null,
    old_image = null,
    new_image = null,
    reason = regexp_replace(t.reason, %(mention)s, %(erased)s, 'gi'),
    erased_at = clock_timestamp()
where t.erased_at is null and {condition}
