select count(*) > 0
from pg_attribute
where attrelid = to_regclass('cutover.timeline') and attname = 'told_late_at'
