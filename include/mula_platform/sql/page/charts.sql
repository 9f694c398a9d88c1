-- Birth charts of both applications that may be shown, with where each came from.
select
    c.id,
    c.birth_date,
    c.birth_time,
    c.birth_location_name,
    c.created_at,
    c.is_default,
    (
        select string_agg(distinct i.source, ', ')
        from platform.origin as o
        inner join public.legacy_identities as i on o.identity_id = i.id
        where o.table_name = 'birth_charts' and o.row_id = c.id
    ) as source
from public.birth_charts as c
where c.user_id = %(user_id)s and platform.is_shown('birth_charts', c.id, %(hidden)s)
order by c.is_default desc, c.created_at desc, c.id asc
limit 200;
