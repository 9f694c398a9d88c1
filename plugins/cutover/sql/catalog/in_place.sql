-- Which table bears a name now, and the newest entry of the ledger after the given one that moved a table of that name.
select
    to_regclass(%(name)s)::oid as oid,
    (
        select l.action || ' ' || l.run || ' of ' || l.migration
        from cutover.ledger as l
        where l.entry > %(entry)s
            and l.tables @> jsonb_build_array(jsonb_build_object('schema', %(schema)s::text, 'name', %(table)s::text))
        order by l.entry desc
        limit 1
    ) as later
