-- Switches ways of the planner off, or back to what they are for this session otherwise.
select set_config(s.name, case when %(are_off)s then 'off' else s.reset_val end, false)
from pg_catalog.pg_settings as s
where s.name = any(%(names)s)
