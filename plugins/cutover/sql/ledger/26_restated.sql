-- The query of a view as PostgreSQL writes it now, and as it would write it if the view were made anew from that: not
-- the same where something that the query lists the columns of, such as a function that returns rows of a table, has
-- got one since.
create or replace function cutover.restated(view oid, out before text, out after text)
language plpgsql set search_path = '' as $$
declare
    trial text := format('cutover.restated_%s', pg_backend_pid());
begin
    before := pg_get_viewdef(view);
    execute format('create view %s as %s', trial, before);
    after := pg_get_viewdef(trial::regclass);
    execute format('drop view %s', trial);
end $$;
revoke all on function cutover.restated(oid) from public;
