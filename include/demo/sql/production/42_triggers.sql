-- Triggers, one of them disabled; made after the rows, which came without them.
set local role app_owner;
set local search_path = public;

create trigger set_updated_at before update on unified_profiles
for each row execute function set_updated_at();
create trigger audit_row after insert or update or delete on unified_profiles
for each row execute function audit_row();
create trigger set_updated_at before update of status, commission_rate, total_earned on affiliates
for each row execute function set_updated_at();
create trigger keep_receipt_no before update on transactions
for each row when (old.receipt_no is distinct from new.receipt_no) execute function keep_receipt_no();
-- Switched off when it slowed the players down, and never removed.
create trigger audit_enrollment after update on enrollments
for each row execute function audit_row();
alter table enrollments disable trigger audit_enrollment;
create trigger set_updated_at before update on support_tickets
for each row execute function set_updated_at();
create trigger count_lesson_as_access after insert or update on lesson_progress
for each row execute function count_lesson_as_access();
comment on trigger audit_row on unified_profiles is 'For requests about personal data';

reset role;
reset search_path;

create trigger on_auth_user_created after insert on auth.users
for each row execute function public.handle_new_user();
