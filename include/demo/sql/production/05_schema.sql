-- Schema public, and who gets what in it by default.
create schema if not exists public;
grant usage on schema public to anon, authenticated, service_role, supabase_auth_admin, app;
grant usage, create on schema public to app_owner;

-- As Supabase has it: whatever is created in public is open to the API's roles unless row-level security closes it.
alter default privileges for role app_owner in schema public
grant all on tables to anon, authenticated, service_role;
alter default privileges for role app_owner in schema public
grant all on sequences to anon, authenticated, service_role;
alter default privileges for role app_owner in schema public
grant all on functions to anon, authenticated, service_role;
alter default privileges for role cutover in schema public
grant all on tables to anon, authenticated, service_role;
alter default privileges for role cutover in schema public
grant all on sequences to anon, authenticated, service_role;
alter default privileges for role cutover in schema public
grant all on functions to anon, authenticated, service_role;
