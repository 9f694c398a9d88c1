-- The fence, open: its triggers are still there and refuse nothing. Needs no lock on any table, so that neither a
-- reader (a dump) nor anybody else can keep an application shut out; sessions see it with their next statement.
create or replace function cutover_fence.refuse() returns trigger
language plpgsql set search_path = '' as $$
begin
    return null;
end $$;
