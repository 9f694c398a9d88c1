-- For a rollback that takes the leads out again.
drop view if exists public.marketing_funnel
