-- How long an address may be for an account to have it. A text column takes any; the sign-in service does not.
create table input.address_limit as
select coalesce(nullif(a.atttypmod, -1) - 4, 255) as characters
from pg_catalog.pg_attribute as a
where
    a.attrelid = 'auth.users'::regclass
    and a.attname = 'email';
