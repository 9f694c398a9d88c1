-- What LIKE leaves behind, or what has changed since: storage, statistics targets, column and storage options (the
-- toast table's, too), the clustering mark, replica identity, comments, row-level security flags, what indexes depend
-- on. In a statement each, in an order that can be run. Of materialized views, too, to which no LIKE is applied.
with pair as (
    select
        p.oid as production,
        i.oid as incoming,
        n.nspname as incoming_schema,
        i.oid::regclass as incoming_name,
        p.reloptions,
        p.relreplident,
        p.relrowsecurity,
        p.relforcerowsecurity,
        i.reloptions as incoming_options,
        case p.relkind when 'm' then 'materialized view' else 'table' end as kind,
        p.reltoastrelid,
        i.reltoastrelid as incoming_toast
    from pg_catalog.pg_class as p, pg_catalog.pg_class as i
    join pg_catalog.pg_namespace as n on n.oid = i.relnamespace
    where p.oid = %(production)s::oid and i.oid = %(incoming)s::oid
)

select
    'storage of ' || quote_ident(a.attname) as object,
    format(
        'alter table %%s alter column %%I set storage %%s', pair.incoming_name, a.attname,
        case a.attstorage when 'p' then 'plain' when 'e' then 'external' when 'm' then 'main' else 'extended' end
    ) as statement
from pair
join pg_catalog.pg_attribute as a on a.attrelid = pair.production and a.attnum > 0 and not a.attisdropped
join pg_catalog.pg_attribute as b on b.attrelid = pair.incoming and b.attname = a.attname
where a.attstorage <> b.attstorage
union all
select
    'compression of ' || quote_ident(a.attname),
    format(
        'alter table %%s alter column %%I set compression %%s', pair.incoming_name, a.attname,
        case a.attcompression when 'p' then 'pglz' when 'l' then 'lz4' else 'default' end
    )
from pair
join pg_catalog.pg_attribute as a on a.attrelid = pair.production and a.attnum > 0 and not a.attisdropped
join pg_catalog.pg_attribute as b on b.attrelid = pair.incoming and b.attname = a.attname
where a.attcompression <> b.attcompression
union all
select
    'statistics target of ' || quote_ident(a.attname) as object,
    format('alter table %%s alter column %%I set statistics %%s', pair.incoming_name, a.attname, a.attstattarget)
from pair
join pg_catalog.pg_attribute as a
    on a.attrelid = pair.production and a.attnum > 0 and not a.attisdropped and a.attstattarget >= 0
union all
select
    'statistics target of an expression of ' || c.relname,
    format(
        'alter index %%I.%%I alter column %%s set statistics %%s',
        pair.incoming_schema,
        c.relname,
        a.attnum,
        a.attstattarget
    )
from pair
join pg_catalog.pg_index as x on x.indrelid = pair.production and x.indisvalid
join pg_catalog.pg_class as c on c.oid = x.indexrelid
join pg_catalog.pg_attribute as a on a.attrelid = x.indexrelid and a.attstattarget >= 0
union all
select
    'options of ' || quote_ident(a.attname),
    format(
        'alter table %%s alter column %%I set (%%s)', pair.incoming_name, a.attname, array_to_string(a.attoptions, ', ')
    )
from pair
join pg_catalog.pg_attribute as a on a.attrelid = pair.production and a.attoptions is not null
union all
select
    'options',
    format('alter table %%s set (%%s)', pair.incoming_name, array_to_string(pair.reloptions, ', '))
from pair
where pair.reloptions is not null
union all
select
    'option ' || o.option_name,
    format('alter table %%s reset (%%s)', pair.incoming_name, o.option_name)
from pair
cross join lateral pg_options_to_table(pair.incoming_options) as o
where o.option_name not in (select p.option_name from pg_options_to_table(pair.reloptions) as p)
union all
-- options of a toast table are kept with it: where no column needs one any more, a column that comes and goes makes it
select
    'toast table',
    format(
        'alter table %%1$s add column cutover_toast text; alter table %%1$s drop column cutover_toast',
        pair.incoming_name
    )
from pair
join pg_catalog.pg_class as t on t.oid = pair.reltoastrelid
where t.reloptions is not null and pair.incoming_toast = 0 and pair.kind = 'table'
union all
select
    'toast option ' || o.option_name,
    format('alter table %%s set (toast.%%s = %%L)', pair.incoming_name, o.option_name, o.option_value)
from pair
join pg_catalog.pg_class as t on t.oid = pair.reltoastrelid
cross join lateral pg_options_to_table(t.reloptions) as o
union all
select
    'toast option ' || o.option_name,
    format('alter table %%s reset (toast.%%s)', pair.incoming_name, o.option_name)
from pair
join pg_catalog.pg_class as t on t.oid = pair.incoming_toast
cross join lateral pg_options_to_table(t.reloptions) as o
where o.option_name not in (
        select p.option_name
        from pg_catalog.pg_class as u
        cross join lateral pg_options_to_table(u.reloptions) as p
        where u.oid = pair.reltoastrelid
    )
union all
select
    'clustering',
    case
        when c.relname is null then format('alter table %%s set without cluster', pair.incoming_name)
        else format('alter table %%s cluster on %%I', pair.incoming_name, c.relname)
    end
from pair
left join (pg_catalog.pg_index as x join pg_catalog.pg_class as c on c.oid = x.indexrelid)
    on x.indrelid = pair.production and x.indisclustered
where x.indexrelid is not null
    or exists (select from pg_catalog.pg_index as y where y.indrelid = pair.incoming and y.indisclustered)
union all
select
    'replica identity',
    format(
        'alter table %%s replica identity %%s', pair.incoming_name,
        case pair.relreplident
            when 'd' then 'default'
            when 'f' then 'full'
            when 'n' then 'nothing'
            else format('using index %%I', (
                    select c.relname
                    from pg_catalog.pg_index as x
                    join pg_catalog.pg_class as c on c.oid = x.indexrelid
                    where x.indrelid = pair.production and x.indisreplident
                ))
        end
    )
from pair
union all
select
    'comment',
    format('comment on %%s %%s is %%L', pair.kind, pair.incoming_name, obj_description(pair.production, 'pg_class'))
from pair
union all
select
    'comment on ' || quote_ident(a.attname),
    format(
        'comment on column %%s.%%I is %%L', pair.incoming_name, a.attname, col_description(pair.production, a.attnum)
    )
from pair
join pg_catalog.pg_attribute as a on a.attrelid = pair.production and a.attnum > 0 and not a.attisdropped
join pg_catalog.pg_attribute as b on b.attrelid = pair.incoming and b.attname = a.attname
where col_description(pair.production, a.attnum) is distinct from col_description(pair.incoming, b.attnum)
union all
select
    'comment on ' || quote_ident(k.conname),
    format(
        'comment on constraint %%I on %%s is %%L',
        k.conname,
        pair.incoming_name,
        obj_description(k.oid, 'pg_constraint')
    )
from pair
join pg_catalog.pg_constraint as k on k.conrelid = pair.production and k.contype in ('p', 'u', 'x', 'c', 'n')
where obj_description(k.oid, 'pg_constraint') is not null
    and (
        k.contype <> 'n'
        or k.conname in (select i.conname from pg_catalog.pg_constraint as i where i.conrelid = pair.incoming)
    )
union all
select
    'comment on ' || quote_ident(c.relname),
    format('comment on index %%I.%%I is %%L', pair.incoming_schema, c.relname, obj_description(c.oid, 'pg_class'))
from pair
join pg_catalog.pg_index as x on x.indrelid = pair.production and x.indisvalid
join pg_catalog.pg_class as c on c.oid = x.indexrelid
where obj_description(c.oid, 'pg_class') is not null
union all
select
    c.relname,
    format('alter index %%I.%%I depends on extension %%I', pair.incoming_schema, c.relname, e.extname)
from pair
join pg_catalog.pg_index as x on x.indrelid = pair.production and x.indisvalid
join pg_catalog.pg_class as c on c.oid = x.indexrelid
join pg_catalog.pg_depend as d on d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'x'
join pg_catalog.pg_extension as e on e.oid = d.refobjid
union all
select
    c.relname,
    format('alter materialized view %%s depends on extension %%I', pair.incoming_name, e.extname)
from pair
join pg_catalog.pg_class as c on c.oid = pair.production and c.relkind = 'm'
join pg_catalog.pg_depend as d on d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'x'
join pg_catalog.pg_extension as e on e.oid = d.refobjid
union all
select
    'row security',
    format(
        'alter table %%s %%s row level security, %%s row level security', pair.incoming_name,
        case when pair.relrowsecurity then 'enable' else 'disable' end,
        case when pair.relforcerowsecurity then 'force' else 'no force' end
    )
from pair
where pair.kind = 'table'
