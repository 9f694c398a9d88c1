insert into cutover.moved_row
select
    %(late)s,
    table_name,
    old_key,
    new_key
from cutover.moved_row
where run = %(run)s
on conflict do nothing
