-- The time zones that the database knows, as places.
select name
from pg_catalog.pg_timezone_names
where name ~ '^[A-Z][A-Za-z_]+/[A-Za-z_/+-]+$' and name !~ '^(Etc|SystemV|posix|right)/'
order by name;
