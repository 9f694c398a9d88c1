select pg_advisory_unlock(hashtext('cutover.extract'), hashtext(%(source)s))
