-- What leaves the database: the application's live updates, and a filtered feed of payments for accounting.
set local role app_owner;
set local search_path = public;

create publication supabase_realtime
for table notifications, enrollments, support_tickets, unified_profiles (id, first_name, last_name, status);
-- Only inserts: for updates, the filtered columns would have to be part of the key.
create publication accounting
for table transactions (id, receipt_no, product_type, amount, currency, status, paid_at)
where (status in ('paid', 'settled'))
with (publish = 'insert');

reset role;
reset search_path;
