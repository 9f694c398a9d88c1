-- One copy of a source at a time, for as long as its transaction.
select cutover.hold_source(%(source)s)
