-- Rows of one file on their way, with the types of the raw table, and those that have no place.
drop table if exists pg_temp.fetched;
drop table if exists pg_temp.rejected;
create temporary table fetched as
select
    {columns},
    api_response,
    source_line
from {raw}
where false;
create index on pg_temp.fetched ({key});
create temporary table rejected (
    source_id text,
    reason text not null,
    detail text not null,
    source_row jsonb,
    source_bytes bytea
);
