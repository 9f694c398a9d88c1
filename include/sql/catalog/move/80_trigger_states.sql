-- Triggers come alive as production had them, one statement per table.
select
    t.tgrelid::regclass::text as object,
    format(
        'alter table %%s %%s', t.tgrelid::regclass,
        string_agg(
            case t.tgenabled when 'O' then 'enable' when 'R' then 'enable replica' else 'enable always' end
            || format(' trigger %%I', t.tgname),
            ', ' order by t.tgname
        )
    ) as statement
from pg_catalog.pg_trigger as t
where t.tgrelid = any(%(replaced)s::oid []) and not t.tgisinternal and t.tgenabled <> 'D'
    and t.tgfoid is distinct from to_regprocedure('cutover.capture()')
group by t.tgrelid
