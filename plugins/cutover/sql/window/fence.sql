-- A source that refuses writes: every statement that would write to a migrated table fails and says why. Reads go on.
-- In a schema of its own, so that one statement takes all of it away again.
create schema if not exists cutover_fence;

create or replace function cutover_fence.refuse() returns trigger
language plpgsql set search_path = '' as $$
begin
    raise exception 'maintenance: % is read-only (%)', tg_relid::regclass, pg_catalog.obj_description(
        'cutover_fence'::regnamespace, 'pg_namespace'
    ) using errcode = 'read_only_sql_transaction', hint = 'Try again when the maintenance is over.';
end $$;
