-- Rules of the tables themselves, after the carried writes, which they must not rewrite.
select
    quote_ident(w.rulename) as object,
    s.statement
from pg_catalog.pg_rewrite as w
cross join
    lateral (
        values
        (1, rtrim(pg_get_ruledef(w.oid), ';')),
        (2, case
            when w.ev_enabled <> 'O' then format(
                    'alter table %%s %%s rule %%I', w.ev_class::regclass,
                    case w.ev_enabled when 'D' then 'disable' when 'R' then 'enable replica' else 'enable always' end,
                    w.rulename
                )
        end),
        (3, case
            when obj_description(w.oid, 'pg_rewrite') is not null
                then format(
                        'comment on rule %%I on %%s is %%L',
                        w.rulename,
                        w.ev_class::regclass,
                        obj_description(w.oid, 'pg_rewrite')
                    )
        end)
    ) as s (position, statement)
where w.ev_class = any(%(replaced)s::oid[]) and s.statement is not null
order by w.oid, s.position
