-- TRUNCATE is refused while a table outside refers to one of these.
alter table public.refunds drop constraint refunds_order_id_fkey, drop constraint refunds_not_valid;
alter table public.commissions drop constraint commissions_affiliate_id_fkey, drop constraint commissions_order_id_fkey;
alter table public.events drop constraint events_profile_id_fkey;
