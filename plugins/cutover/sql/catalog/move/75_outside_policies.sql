-- Policies and rules of tables outside the set that read a swapped table.
select
    quote_ident(p.polname) as object,
    format(
        'alter policy %%I on %%s%%s%%s', p.polname, p.polrelid::regclass,
        ' using (' || pg_get_expr(p.polqual, p.polrelid) || ')',
        ' with check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'
    ) as statement
from pg_catalog.pg_policy as p
where p.oid = any(%(outside_policies)s::oid[])
union all
select
    quote_ident(w.rulename),
    rtrim(regexp_replace(pg_get_ruledef(w.oid), '^CREATE RULE', 'CREATE OR REPLACE RULE'), ';')
from pg_catalog.pg_rewrite as w
where w.oid = any(%(outside_rules)s::oid[])
