-- Row-level security: on the tables that a launch replaces, and on others whose policies look into them.
set local role app_owner;
set local search_path = public;

alter table unified_profiles enable row level security;
alter table transactions enable row level security;
alter table enrollments enable row level security;
alter table affiliates enable row level security;
alter table lesson_progress enable row level security;
alter table refunds enable row level security;
alter table support_tickets enable row level security;
alter table commissions enable row level security;
alter table notifications enable row level security;
alter table certificates enable row level security;

create policy "People see their own profile" on unified_profiles
for select to authenticated using (id = auth.uid() or is_admin());
create policy "People edit their own profile" on unified_profiles
for update to authenticated using (id = auth.uid()) with check (id = auth.uid() and status <> 'banned');
create policy "Banned people see nothing" on unified_profiles
as restrictive for select to authenticated using (status <> 'banned' or is_admin());
create policy "People see their own payments" on transactions
for select to authenticated using (user_id = auth.uid() or is_admin());
create policy "People see their own enrolments" on enrollments
for select to authenticated using (user_id = auth.uid() or is_admin());
create policy "Affiliates see their own row" on affiliates
for select to authenticated using (user_id = auth.uid());
create policy "Affiliates are listed by their people" on affiliates
for select to authenticated using (
    exists (
        select from unified_profiles
        where unified_profiles.affiliate_id = affiliates.id
    )
);

create policy "Students keep their own progress" on lesson_progress
for all to authenticated using (
    exists (
        select from enrollments
        where enrollments.id = lesson_progress.enrollment_id and enrollments.user_id = auth.uid()
    )
);
create policy "People see refunds of their payments" on refunds
for select to authenticated using (
    transaction_id in (
        select transactions.id from transactions
        where transactions.user_id = auth.uid()
    )
);
create policy "People see their own tickets" on support_tickets
for select to authenticated using (profile_id = auth.uid() or is_admin());
create policy "Affiliates see their commissions" on commissions
for select to authenticated using (
    affiliate_id in (
        select affiliates.id from affiliates
        where affiliates.user_id = auth.uid()
    )
);
create policy "People see their own notifications" on notifications
for select to authenticated using (profile_id = auth.uid());
create policy "Certificates are shown to their owners" on certificates
for select to authenticated using (
    exists (
        select from enrollments
        inner join unified_profiles on enrollments.user_id = unified_profiles.id
        where enrollments.id = certificates.enrollment_id and unified_profiles.id = auth.uid()
    )
);
comment on policy "People see their own payments" on transactions is 'Reviewed by the data protection officer';

reset role;
reset search_path;
