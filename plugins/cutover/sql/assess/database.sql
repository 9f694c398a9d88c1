-- A source as a whole.
select
    current_setting('server_version') as server_version,
    pg_database_size(current_database()) as bytes,
    pg_encoding_to_char(d.encoding) as encoding
from pg_catalog.pg_database as d
where d.datname = current_database()
