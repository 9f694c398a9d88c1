-- Roles of the demonstration's sources, made once per cluster: who reads, who owns, who serves.
do $$
declare
    wanted text;
begin
    foreach wanted in array array['mula_reader', 'dasha_owner', 'compatibility_owner', 'mula_app', 'cutover'] loop
        if not exists (select from pg_catalog.pg_roles where rolname = wanted) then
            execute format('create role %I', wanted);
        end if;
    end loop;
end $$;

alter role mula_reader login;
alter role dasha_owner login;
alter role compatibility_owner login;
-- the unified application; nobody signs in as it in the demonstration
alter role mula_app nologin;
-- the engine in the unified database: it must see sessions whose snapshots are older than what it stages
alter role cutover login;
grant pg_read_all_stats to cutover;
