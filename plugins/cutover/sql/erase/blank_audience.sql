-- People whom a run is to tell, without the one who is erased; the digest of the row stays, so that an approval holds.
update cutover.audience as t
set email = null, user_id = null, name = null, recipients = null, erased_at = clock_timestamp()
where t.erased_at is null and {condition}
