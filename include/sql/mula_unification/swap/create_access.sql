-- The unified application's role gets what an application needs of each table that is new. Later launches take over the
-- grants that they find, and so does a first one where a table was made beforehand. A deployment whose application has
-- another role grants by hand, and those grants stay as well.
do $$
declare
    arriving text;
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'mula_app') then
        foreach arriving in array current_setting('cutover.arriving')::text[] loop
            execute format('grant select, insert, update, delete on table %s to mula_app', arriving);
        end loop;
    end if;
end $$
