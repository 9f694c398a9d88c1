-- The default privileges opened everything to everybody; here the sensitive tables are closed again.
set local role app_owner;
set local search_path = public;

revoke all on unified_profiles, transactions, enrollments, affiliates from anon, authenticated;
revoke all on row_audit, api_keys, app_settings, webhook_events from anon, authenticated;
revoke all on customer_overview, top_customers, course_completion, monthly_revenue from anon, authenticated;
revoke all on sequence transactions_receipt_no_seq, enrollments_enrollment_no_seq from anon, authenticated;
revoke execute on function dashboard_summary(), search_profiles(text) from public, anon, authenticated;

grant select on unified_profiles, transactions, enrollments, affiliates to authenticated;
grant update (first_name, last_name, phone) on unified_profiles to authenticated;
grant select (id, full_name) on unified_profiles to anon;
grant select (id, status) on affiliates to anon;
-- the accounting service may pass its right on
grant select on transactions to service_role with grant option;
grant select on monthly_revenue to authenticated;

reset role;
reset search_path;
