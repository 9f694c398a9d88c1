-- Identity columns. The sequence takes production's name, so that it has the right one after the move;
-- its position is copied inside the lock.
select
    quote_ident(a.attname) as object,
    format(
        'alter table %%s alter column %%I add generated %%s as identity '
        '(sequence name %%I.%%I start %%s increment %%s minvalue %%s maxvalue %%s cache %%s %%s)',
        %(incoming)s::oid::regclass, a.attname, case a.attidentity when 'a' then 'always' else 'by default' end,
        n.nspname, s.relname, q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache,
        case when q.seqcycle then 'cycle' else 'no cycle' end
    ) as statement
from pg_catalog.pg_attribute as a
join pg_catalog.pg_depend as d
    on d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = a.attrelid and d.refobjsubid = a.attnum
        and d.classid = 'pg_catalog.pg_class'::regclass and d.deptype = 'i'
join pg_catalog.pg_class as s on s.oid = d.objid and s.relkind = 'S'
join pg_catalog.pg_sequence as q on q.seqrelid = s.oid
join pg_catalog.pg_class as i on i.oid = %(incoming)s::oid
join pg_catalog.pg_namespace as n on n.oid = i.relnamespace
join pg_catalog.pg_attribute as b on b.attrelid = i.oid and b.attname = a.attname
where a.attrelid = %(production)s::oid and a.attidentity <> '' and b.attidentity = ''
union all
select
    s.relname,
    format('comment on sequence %%I.%%I is %%L', n.nspname, s.relname, obj_description(s.oid, 'pg_class'))
from pg_catalog.pg_depend as d
join pg_catalog.pg_class as s on s.oid = d.objid and s.relkind = 'S'
join pg_catalog.pg_class as i on i.oid = %(incoming)s::oid
join pg_catalog.pg_namespace as n on n.oid = i.relnamespace
where d.refobjid = %(production)s::oid and d.classid = 'pg_catalog.pg_class'::regclass and d.deptype = 'i'
    and obj_description(s.oid, 'pg_class') is not null
