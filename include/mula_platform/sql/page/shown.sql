-- How many rows of each kind are shown.
select
    (
        select count(*)
        from public.birth_charts as c
        where c.user_id = %(user_id)s and platform.is_shown('birth_charts', c.id, %(hidden)s)
    ) as birth_charts,
    (
        select count(*)
        from public.dasha_data as d
        where d.user_id = %(user_id)s and platform.is_shown('dasha_data', d.id, %(hidden)s)
    ) as dasha_data,
    (
        select count(*)
        from public.compatibility_results as r
        where r.user_id = %(user_id)s and platform.is_shown('compatibility_results', r.id, %(hidden)s)
    ) as compatibility_results,
    (
        select count(*)
        from public.subscriptions as s
        where s.user_id = %(user_id)s and platform.is_shown('subscriptions', s.id, %(hidden)s)
    ) as subscriptions;
