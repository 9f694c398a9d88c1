-- What a query answers: its rows, a sum over their hashes, the hashes themselves as long as they are few, and the row
-- if it is one.
with cutover_answer as materialized (
    select pg_catalog.hashtextextended(q::text, 0) as hash
    from (
        {query}
    ) as q
)

select pg_catalog.json_build_object(
    'rows', (select pg_catalog.count(*) from cutover_answer),
    'digest', (select coalesce(pg_catalog.sum(a.hash), 0)::text from cutover_answer as a),
    'hashes', (select pg_catalog.array_agg(f.hash) from (select a.hash from cutover_answer as a limit {most}) as f),
    'one', case
        when (select pg_catalog.count(*) = 1 from cutover_answer)
            then (
                select pg_catalog.row_to_json(q)
                from (
                    {query}
                ) as q
            )
    end
) as answer
