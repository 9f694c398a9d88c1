-- From a production row back to the API responses that it was made of.

-- One statement for each table, from include/sql/<migration>/why/<table>.sql. Its parameter $1 is the row's id as
-- text; it returns (raw_table, raw_id, role): which row of schema raw, and what that row was to this one.
create table if not exists cutover.lineage (
    table_name text primary key,
    migration text not null,
    statement text not null
);

-- Every response behind a row: what it was to the row, when and how it was asked for, and what it said.
-- select * from cutover.why('transactions', '7d0c...');
-- The name may be qualified: public.transactions, auth.users.
create or replace function cutover.why(table_name text, id text)
returns table (
    role text,
    raw_table text,
    raw_id text,
    sync_id bigint,
    page_no integer,
    request text,
    fetched_at timestamptz,
    gone_at timestamptz,
    api_response jsonb
)
language plpgsql stable
as $$
declare
    origin record;
    lineage text;
begin
    select l.statement into lineage
    from cutover.lineage as l
    where l.table_name = regexp_replace(why.table_name, '^.*\.', '');
    if lineage is null then
        raise exception 'nothing is known about the origin of table "%"', why.table_name
            using hint = 'Tables with a known origin are listed in cutover.lineage.';
    end if;
    for origin in execute lineage using why.id loop
        return query execute format(
            -- a row of an API is its response, kept whole; a row of another database's table is its columns
            'select
                $1, $2, $3, r.sync_id, (to_jsonb(r) ->> ''page_no'')::integer, coalesce(p.request, s.api),
                coalesce(p.fetched_at, r.api_synced_at),
                r.gone_at,
                coalesce(
                    to_jsonb(r) -> ''api_response'',
                    to_jsonb(r) - ''{content_hash,sync_id,api_synced_at,gone_at}''::text []
                )
            from raw.%I as r
            left join cutover.sync as s on r.sync_id = s.sync_id
            left join cutover.sync_page as p
                on r.sync_id = p.sync_id and (to_jsonb(r) ->> ''page_no'')::integer = p.page_no
            where r.id::text = $3',
            origin.raw_table
        ) using origin.role, origin.raw_table, origin.raw_id;
    end loop;
end;
$$;
