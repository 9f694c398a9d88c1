-- One sync of a source at a time. Of the session, so that a killed task frees it; behind a connection pool that
-- moves sessions about, the check of every page's number still refuses a second writer.
select cutover.begin_source(%(source)s)
