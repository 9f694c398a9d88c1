select
    c.oid::regclass::text as object,
    'a logical replication subscription writes into it' as why,
    'alter subscription ... disable, take the table out of its publication, and refresh the subscription.' as remedy
from pg_catalog.pg_class as c
join pg_catalog.pg_subscription_rel as s on s.srrelid = c.oid
where c.oid = any(%(tables)s::oid[])
