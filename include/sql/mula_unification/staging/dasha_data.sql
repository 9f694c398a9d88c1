-- From the Dasha Timer. The seed indexes a column that the table does not have; what it is for is calculated_at.
create table staging.dasha_data (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null,
    chart_id uuid not null,
    current_dasha varchar(50),
    current_dasha_start date,
    current_dasha_end date,
    dasha_sequence jsonb,
    calculated_at timestamptz default now(),
    constraint dasha_data_pkey primary key (id),
    constraint dasha_data_user_id_fkey foreign key (user_id) references staging.users (id) on delete cascade,
    constraint dasha_data_chart_id_fkey foreign key (chart_id) references staging.birth_charts (id) on delete cascade
);

create index dasha_data_user_id_calculated_at_idx on staging.dasha_data (user_id, calculated_at);
create index dasha_data_chart_id_idx on staging.dasha_data (chart_id);
