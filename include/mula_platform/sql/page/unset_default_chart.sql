-- At most one default: the earlier one first gives way, unless it may not be touched.
update public.birth_charts
set is_default = false
where user_id = %(user_id)s and is_default and platform.is_shown('birth_charts', id, %(hidden)s);
