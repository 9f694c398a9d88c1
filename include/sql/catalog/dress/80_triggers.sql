-- Triggers, switched off until the carried writes are in: those have already had their effects.
with trigger as (
    select
        t.*,
        split_part(pg_get_triggerdef(t.oid), format(' ON %%s ', %(production)s::oid::regclass), 1) as head,
        substr(
            pg_get_triggerdef(t.oid),
            strpos(pg_get_triggerdef(t.oid), format(' ON %%s ', %(production)s::oid::regclass))
            + length(format(' ON %%s ', %(production)s::oid::regclass))
        ) as tail
    from pg_catalog.pg_trigger as t
    where t.tgrelid = %(production)s::oid
        and not t.tgisinternal
        and t.tgfoid is distinct from to_regprocedure('cutover.capture()')
)

select
    quote_ident(t.tgname) as object,
    d.statement
from trigger as t
cross join
    lateral (
        values
        (1, format('%%s ON %%s %%s', t.head, %(incoming)s::oid::regclass, t.tail)),
        (2, format('alter table %%s disable trigger %%I', %(incoming)s::oid::regclass, t.tgname)),
        (3, case
            when obj_description(t.oid, 'pg_trigger') is not null
                then format(
                        'comment on trigger %%I on %%s is %%L',
                        t.tgname,
                        %(incoming)s::oid::regclass,
                        obj_description(t.oid, 'pg_trigger')
                    )
        end)
    ) as d (position, statement)
where d.statement is not null
order by t.tgname, d.position
