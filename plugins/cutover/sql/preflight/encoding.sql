select
    pg_encoding_to_char(d.encoding) as encoding,
    d.datname as database
from pg_catalog.pg_database as d
where d.datname = current_database()
