-- From a production row back to the API responses that it was made of.

-- One statement for each table, from include/sql/<migration>/why/<table>.sql. Its parameter $1 is the row's id as
-- text; it returns (raw_table, raw_id, role): which row of schema raw, and what that row was to this one.
-- What stands here is executed by whoever asks: no role but the engine's own may write it.
create table if not exists cutover.lineage (
    table_name text primary key,
    migration text not null,
    statement text not null
);

-- Every response that a lineage's statement names: what it was to the row, when and how it was asked for, and what
-- it said. Whatever the statement calls, it cannot write; and it has no rights but those of whoever asks.
create or replace function cutover.origins(lineage text, id text)
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
set search_path = pg_catalog, pg_temp
as $$
declare
    origin record;
begin
    -- a block that catches is a transaction of its own within the caller's: it is read-only, and what it calls cannot
    -- change that; the caller's own is as before afterwards
    begin
        perform set_config('transaction_read_only', 'on', true);
        for origin in execute lineage using origins.id loop
            return query execute format(
                -- a row of an API or a file is its response, kept whole; a row of another database's table is its columns
                'select
                    $1, $2, $3, r.sync_id, (to_jsonb(r) ->> ''page_no'')::integer, coalesce(
                        p.request, f.path || '', line '' || (to_jsonb(r) ->> ''source_line''), s.api
                    ),
                    coalesce(p.fetched_at, f.read_at, r.api_synced_at),
                    r.gone_at,
                    coalesce(
                        to_jsonb(r) -> ''api_response'',
                        to_jsonb(r) - ''{content_hash,sync_id,api_synced_at,gone_at}''::text []
                    )
                from raw.%I as r
                left join cutover.sync as s on r.sync_id = s.sync_id
                left join cutover.sync_page as p
                    on r.sync_id = p.sync_id and (to_jsonb(r) ->> ''page_no'')::integer = p.page_no
                left join cutover.sync_file as f
                    on r.sync_id = f.sync_id and (to_jsonb(r) ->> ''page_no'')::integer = f.page_no
                where r.id::text = $3',
                origin.raw_table
            ) using origin.role, origin.raw_table, origin.raw_id;
        end loop;
    exception when assert_failure then
        raise;
    end;
end;
$$;

-- The same for a row of a table whose origin is known.
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
set search_path = pg_catalog, pg_temp
as $$
declare
    lineage text;
begin
    -- before the engine's role began to be the only one that writes here, another could have
    if exists (
        select
        from pg_class as c
        cross join lateral aclexplode(c.relacl) as a
        where c.oid = 'cutover.lineage'::regclass and a.grantee <> c.relowner
            and a.privilege_type in ('INSERT', 'UPDATE')
    ) then
        raise exception 'another role than the engine''s may write cutover.lineage'
            using hint = 'Run roles.sql again, which takes that right away, and then any task of the migration.';
    end if;
    select l.statement into lineage
    from cutover.lineage as l
    where l.table_name = regexp_replace(why.table_name, '^.*\.', '');
    if lineage is null then
        raise exception 'nothing is known about the origin of table "%"', why.table_name
            using hint = 'Tables with a known origin are listed in cutover.lineage.';
    end if;
    return query select * from cutover.origins(lineage, why.id);
end;
$$;
