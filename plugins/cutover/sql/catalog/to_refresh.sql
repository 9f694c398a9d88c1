-- Materialized views that were rebuilt before the carried writes, or read a swapped table through a view: their
-- rows are brought up to date, without blocking readers where a unique index allows it.
select
    c.oid::regclass::text as object,
    format(
        'refresh materialized view %%s%%s',
        case
            when exists (
                    select from pg_catalog.pg_index as x
                    where x.indrelid = c.oid and x.indisunique and x.indpred is null and x.indexprs is null
                ) then 'concurrently '
        end,
        c.oid::regclass
    ) as statement
from unnest(%(views)s::text[]) with ordinality as v (name, position)
join pg_catalog.pg_class as c on c.oid = to_regclass(v.name) and c.relispopulated
order by v.position
