-- A query that counts, in the table that comes back, the values of a unique index of production's that stand in several
-- rows, and these rows. None for an index of expressions, or of some rows alone.
select
    i.relname as object,
    format(
        'select count(*), coalesce(sum(v.rows), 0)::bigint from (select count(*) as rows from %%s as t group by %%s '
        'having count(*) > 1 and num_nulls(%%s) = 0) as v',
        %(incoming)s::oid::regclass, k.columns, k.columns
    ) as statement
from pg_catalog.pg_index as x
join pg_catalog.pg_class as i on i.oid = x.indexrelid
cross join
    lateral (
        select string_agg(format('t.%%I', a.attname), ', ' order by p.place) as columns
        from unnest(x.indkey::smallint[]) with ordinality as p (attnum, place)
        join pg_catalog.pg_attribute as a on a.attrelid = x.indrelid and a.attnum = p.attnum
        where p.place <= x.indnkeyatts
    ) as k
where
    x.indrelid = %(production)s::oid
    and i.relname = %(name)s
    and x.indisunique
    and x.indexprs is null
    and x.indpred is null
