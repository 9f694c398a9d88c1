-- The role of the unified platform: signs in, owns nothing, and may what 20 and 30 say. Its password is set by whoever
-- runs this. Once per cluster; again, it changes nothing.
do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'mula_platform') then
        create role mula_platform login;
    end if;
end $$;
