select pg_catalog.pg_get_userbyid(c.relowner) as name from pg_catalog.pg_class as c where c.oid = %(relation)s
