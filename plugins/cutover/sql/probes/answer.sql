-- What a query answers: its rows, a sum over their hashes, the hashes themselves as long as they are few, and the row if
-- it is one.
with cutover_answer as materialized (
    select pg_catalog.hashtextextended(q::text, 0) as hash
    from (
{query}
    ) as q
)

select pg_catalog.json_build_object(
    'rows', (select count(*) from cutover_answer),
    'digest', (select coalesce(sum(a.hash), 0)::text from cutover_answer as a),
    'hashes', (select array_agg(f.hash) from (select a.hash from cutover_answer as a limit {most}) as f),
    'one', case
        when (select count(*) = 1 from cutover_answer)
            then (
                select row_to_json(q)
                from (
{query}
                ) as q
            )
    end
) as answer
