-- The staged rows into production's own tables.
insert into public.profiles (id, email, name, level_id, affiliate_id, settings, updated_at)
select
    id,
    email,
    name,
    level_id,
    affiliate_id,
    settings,
    updated_at
from staging.profiles;
insert into public.affiliates overriding system value select * from staging.affiliates;
insert into public.orders select * from staging.orders;
set constraints all immediate;
