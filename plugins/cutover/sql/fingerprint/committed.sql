select coalesce(bool_and(pg_xact_status(t::text::xid8) = 'committed'), true)
from unnest(%(transactions)s::bigint[]) as t
