select s.name
from pg_catalog.pg_settings as s
where s.context = 'superuser' and has_parameter_privilege(s.name, 'SET')
