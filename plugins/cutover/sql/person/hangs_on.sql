-- Rows that were set aside and are the person's: one of the columns that lead to a person, or of the key for which it
-- was set aside, holds one of their keys.
select s.set_aside_id
from cutover.set_aside as s
where
    exists (
        select
        from unnest(s.columns, s.values) as c (name, value)
        where
            c.value = any(%(keys)s::text[])
            and (
                c.name = any(%(names)s::text[])
                or c.name in (
                    select a.attname
                    from pg_catalog.pg_constraint as k
                    join pg_catalog.pg_attribute as a on k.conrelid = a.attrelid and a.attnum = any(k.conkey)
                    where k.conrelid::regclass || ':' || quote_ident(k.conname) = s.key_name
                )
            )
    )
