-- A view that is never read: what PostgreSQL takes the query's names for is in the catalogue then.
create temporary view cutover_read as
select 1 as one from (
    {query}
) as q
