-- Triggers come alive as production had them, and capture with them, so that a rollback can carry back what is
-- written from here on. One statement per table.
select
    n.name as object,
    format(
        'alter table %%s %%s', n.name,
        concat_ws(
            ', ',
            (
                select
                    string_agg(
                        case t.tgenabled when 'O' then 'enable' when 'R' then 'enable replica' else 'enable always' end
                        || format(' trigger %%I', t.tgname),
                        ', ' order by t.tgname
                    )
                from pg_catalog.pg_trigger as t
                where t.tgrelid = any(%(replaced)s::oid[]) and t.tgrelid = to_regclass(n.name)
                    and not t.tgisinternal and t.tgenabled <> 'D'
                    and not exists (
                        select from pg_catalog.pg_proc as p
                        where p.oid = t.tgfoid and p.pronamespace = to_regnamespace('cutover')
                            and p.proname ~ '^capture(_[0-9]+)?$'
                    )
            ),
            'enable always trigger cutover_capture, enable always trigger cutover_capture_truncate'
        )
    ) as statement
from unnest(%(names)s::text[]) as n (name)
