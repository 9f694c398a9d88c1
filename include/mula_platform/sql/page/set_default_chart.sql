-- The chart that the person is shown first.
update public.birth_charts
set is_default = true
where id = %(chart)s and user_id = %(user_id)s and platform.is_shown('birth_charts', id, %(hidden)s)
returning id;
