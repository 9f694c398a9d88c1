select coalesce(sum(pg_total_relation_size(t)), 0)::bigint from unnest(%(tables)s::oid[]) as t
