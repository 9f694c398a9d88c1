-- Tables of a set that a launch of another migration has put where they are, and that could still be taken back.
select
    l.run,
    l.migration,
    t.schema,
    t.name
from cutover.ledger as l
cross join lateral jsonb_to_recordset(l.tables) as t (schema text, name text, incoming oid)
where
    l.migration <> %(migration)s
    and l.action = 'swap'
    and to_regnamespace(quote_ident(l.backup_schema)) is not null
    and to_regclass(format('%%I.%%I', t.schema, t.name))::oid = t.incoming
    and (t.schema, t.name) in (select * from unnest(%(schemas)s::text[], %(names)s::text[]))
order by l.entry, t.schema, t.name
