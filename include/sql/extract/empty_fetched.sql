delete from pg_temp.fetched
