-- Backups that are still there, oldest first: how large they are, and which is the one that a rollback would need.
select
    l.entry,
    l.run,
    l.action,
    l.backup_schema,
    l.recorded_at,
    l.hash,
    l.entry = max(l.entry) over (partition by l.migration) as is_newest,
    l.recorded_at < clock_timestamp() - %(days)s * interval '1 day' as is_old,
    exists(select from cutover.certificate as c where c.run = l.run) as is_certified,
    coalesce(r.relations, '{{}}') as relations,
    coalesce(r.bytes, 0) as bytes
from cutover.ledger as l
join pg_catalog.pg_namespace as n on n.nspname = l.backup_schema
left join
    lateral (
        select
            array_agg(c.relname::text order by c.relname) as relations,
            sum(pg_total_relation_size(c.oid))::bigint as bytes
        from pg_catalog.pg_class as c
        where c.relnamespace = n.oid and c.relkind in ('r', 'm')
    ) as r
    on true
where l.migration = %(migration)s
order by l.entry
