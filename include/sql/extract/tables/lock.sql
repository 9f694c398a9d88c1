-- One copy of a source at a time, for as long as its transaction.
select pg_try_advisory_xact_lock(hashtext('cutover.extract'), hashtext(%(source)s))
