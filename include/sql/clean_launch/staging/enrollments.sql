-- One per customer and product.
create table staging.enrollments (
    id uuid not null default gen_random_uuid(),
    enrollment_no serial not null,
    user_id uuid not null,
    course_id uuid,
    transaction_id uuid,
    product_type text not null,
    status text not null default 'active',
    enrolled_at timestamptz not null default now(),
    expires_at timestamptz,
    last_accessed_at timestamptz,
    metadata jsonb default '{}',
    constraint enrollments_pkey primary key (id),
    constraint enrollments_user_id_product_type_key unique (user_id, product_type),
    constraint enrollments_user_id_fkey foreign key (user_id)
    references staging.unified_profiles (id) on delete cascade,
    constraint enrollments_course_id_fkey foreign key (course_id) references public.courses (id) on delete set null,
    constraint enrollments_transaction_id_fkey foreign key (transaction_id)
    references staging.transactions (id) on delete set null
);
