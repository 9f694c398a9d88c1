-- What the images of a table's rows are taken apart into; nothing for a table that is not there.
select cutover.make_fields(count(*)::integer)
from pg_catalog.pg_attribute
where attrelid = to_regclass(%(table)s) and attnum > 0 and not attisdropped
having count(*) > 0
