-- Two choices at once must not both be the default.
select c.id
from public.birth_charts as c
where c.user_id = %(user_id)s and c.is_default
for update;
