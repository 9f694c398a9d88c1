-- Of each table that an entry of the ledger put in place: which table bears its name now, and the newest later entry
-- that moved one of that name.
with placed as (
    select
        u.entry,
        t.value ->> 'schema' as schema_name,
        t.value ->> 'name' as table_name,
        format('%%I.%%I', t.value ->> 'schema', t.value ->> 'name') as name,
        (t.value ->> 'incoming')::oid as incoming,
        t.ordinality
    from cutover.ledger as u
    cross join lateral jsonb_array_elements(u.tables) with ordinality as t
    where u.run = %(run)s::text
)

select
    p.name,
    p.incoming,
    to_regclass(p.name)::oid as oid,
    (
        select l.action || ' ' || l.run || ' of ' || l.migration
        from cutover.ledger as l
        where l.entry > p.entry
            and l.tables @> jsonb_build_array(jsonb_build_object('schema', p.schema_name, 'name', p.table_name))
        order by l.entry desc
        limit 1
    ) as later
from placed as p
order by p.ordinality
