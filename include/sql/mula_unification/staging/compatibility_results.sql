-- From the Compatibility application. Shared links carry the share code, which therefore never changes.
create table staging.compatibility_results (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null,
    chart1_id uuid not null,
    chart2_id uuid,
    overall_score integer,
    venus_score integer,
    mars_score integer,
    moon_score integer,
    sun_score integer,
    detailed_breakdown jsonb,
    share_code varchar(20),
    calculated_at timestamptz default now(),
    view_count integer default 0,
    constraint compatibility_results_pkey primary key (id),
    constraint compatibility_results_share_code_key unique (share_code),
    constraint compatibility_results_user_id_fkey foreign key (user_id) references staging.users (id) on delete cascade,
    constraint compatibility_results_chart1_id_fkey foreign key (chart1_id)
    references staging.birth_charts (id) on delete cascade,
    -- the other person's chart: when they go, the result and its link stay with whom they belong to
    constraint compatibility_results_chart2_id_fkey foreign key (chart2_id)
    references staging.birth_charts (id) on delete set null
);

create index compatibility_results_user_id_calculated_at_idx
on staging.compatibility_results (user_id, calculated_at);
create index compatibility_results_chart1_id_idx on staging.compatibility_results (chart1_id);
create index compatibility_results_chart2_id_idx on staging.compatibility_results (chart2_id);
