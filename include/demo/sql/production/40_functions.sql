-- Functions of all three kinds: SQL kept as text, SQL bound to its tables (begin atomic), and PL/pgSQL.
set local role app_owner;
set local search_path = public;

-- text: resolved by name whenever it runs
create function active_enrollment_count(product text) returns bigint
language sql stable
as $$
    select count(*) from public.enrollments where product_type = product and status = 'active'
$$;

-- A computed column for PostgREST: takes the row type of a table.
create function display_name(profile unified_profiles) returns text
language sql stable
as $$
    select coalesce(profile.full_name, split_part(profile.email, '@', 1))
$$;
comment on function display_name(unified_profiles) is 'What the pages call a person';

-- A computed relationship: takes the row type of one table and returns rows of another.
create function profile_transactions(profile unified_profiles) returns setof transactions
language sql stable rows 3
as $$
    select * from public.transactions where user_id = profile.id
$$;

-- bound: parsed when created, so it holds on to the tables themselves and not to their names
create function customer_revenue(customer uuid) returns numeric
language sql stable
begin atomic
    select coalesce(sum(payment.amount - payment.refunded_amount), 0)
    from transactions as payment
    where
        payment.user_id = customer_revenue.customer -- noqa: RF01
        and payment.status in ('paid', 'settled', 'partially_refunded');
end;

create function commission_due(affiliate uuid) returns numeric
language sql stable
begin atomic
    select coalesce(sum(earned.amount), 0) + coalesce(max(person.total_earned), 0)
    from affiliates as person
    left join commissions as earned on person.id = earned.affiliate_id
    where person.id = commission_due.affiliate; -- noqa: RF01
end;

create function is_admin() returns boolean
language sql stable security definer set search_path = ''
as $$
    select exists (
        select from public.unified_profiles
        where id = auth.uid() and admin_metadata @> '{"role": "admin"}'
    )
$$;

create function search_profiles(term text) returns setof unified_profiles
language plpgsql stable
as $$
begin
    return query
    select * from public.unified_profiles
    where email ilike '%' || term || '%' or full_name ilike '%' || term || '%'
    order by created_at desc
    limit 50;
end
$$;

create function dashboard_summary()
returns table (profiles bigint, payments bigint, revenue numeric, students bigint)
language plpgsql stable security definer set search_path = ''
as $$
begin
    return query
    select
        (select count(*) from public.unified_profiles),
        (select count(*) from public.transactions),
        (select sum(amount - refunded_amount) from public.transactions),
        (select count(*) from public.enrollments where status = 'active');
end
$$;

-- Every account gets a profile, whoever makes the account.
create function handle_new_user() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
    insert into public.unified_profiles (id, email, first_name, last_name, acquisition_source, api_source)
    values (
        new.id,
        new.email,
        new.raw_user_meta_data ->> 'first_name',
        new.raw_user_meta_data ->> 'last_name',
        'signup',
        'signup'
    );
    return new;
end
$$;

create function set_updated_at() returns trigger
language plpgsql
as $$
begin
    new.updated_at = now();
    return new;
end
$$;

create function audit_row() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
    insert into public.row_audit (table_name, row_id, operation, old_row, new_row, changed_by)
    values (tg_table_name, coalesce(new.id, old.id), tg_op, to_jsonb(old), to_jsonb(new), session_user);
    return null;
end
$$;

create function keep_receipt_no() returns trigger
language plpgsql
as $$
begin
    raise exception 'the receipt number % was printed and cannot change', old.receipt_no
    using errcode = 'integrity_constraint_violation';
end
$$;

create function count_lesson_as_access() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
    update public.enrollments set last_accessed_at = greatest(last_accessed_at, new.updated_at)
    where id = new.enrollment_id;
    return null;
end
$$;

reset role;
reset search_path;
