-- From here on the evidence of the run is final. The moment of the first question stays.
update cutover.run
set asked_at = coalesce(asked_at, clock_timestamp())
where run = %(run)s and fingerprint = %(fingerprint)s
returning asked_at
