-- Views that would not read the same if they were made anew from their own definition, which is how they follow.
select
    v.name as object,
    'a column has come to what it reads from since it was made, and PostgreSQL would list that from now on' as why,
    case
        when v.relkind = 'm' then 'drop it and create it again from its own definition.'
        else
            'restate it, which changes nothing for who reads it: do $$ begin execute '
            || format(
                '''create or replace view %%s as '' || pg_get_viewdef(''%%s''::regclass); end $$',
                v.quoted,
                v.quoted
            )
    end as remedy
from (
    select
        c.oid,
        c.relkind,
        c.oid::regclass::text as name,
        replace(c.oid::regclass::text, '''', '''''') as quoted
    from pg_catalog.pg_class as c
    where c.oid = any(%(restated)s::oid[])
) as v
cross join lateral cutover.restated(v.oid) as r
where r.before <> r.after
