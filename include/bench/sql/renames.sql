-- The floor: nothing but the moves. What depends on the old tables goes on reading, checking and writing them.
alter table public.profiles set schema backup_bench;
alter table public.affiliates set schema backup_bench;
alter table public.orders set schema backup_bench;
alter table staging.profiles set schema public;
alter table staging.affiliates set schema public;
alter table staging.orders set schema public;
