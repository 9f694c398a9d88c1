-- Birth charts of both applications. Birth dates are local times at the place of birth, and so without a zone.
create table staging.birth_charts (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null,
    birth_date timestamp not null,
    birth_time varchar(8),
    birth_location_lat double precision,
    birth_location_lng double precision,
    birth_location_name varchar(255),
    timezone_offset integer,
    chart_data jsonb,
    created_at timestamptz default now(),
    is_default boolean default false,
    constraint birth_charts_pkey primary key (id),
    constraint birth_charts_user_id_fkey foreign key (user_id) references staging.users (id) on delete cascade
);

create index birth_charts_user_id_created_at_idx on staging.birth_charts (user_id, created_at);
-- at most one default; it serves the search for it, too
create unique index birth_charts_one_default on staging.birth_charts (user_id) where (is_default);
