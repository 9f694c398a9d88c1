-- In this transaction nothing but tables is read, the catalogue's own views apart. Minor versions before August 2024
-- have no such setting.
select pg_catalog.set_config(s.name, 'view, foreign-table', true)
from pg_catalog.pg_settings as s
where s.name = 'restrict_nonsystem_relation_kind'
