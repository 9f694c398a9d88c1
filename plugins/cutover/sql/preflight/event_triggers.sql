select t.evtname from pg_catalog.pg_event_trigger as t where t.evtenabled in ('O', 'A') order by 1
