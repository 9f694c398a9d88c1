-- Every account of both sources and the person it belongs to: old tokens and links find their owner by it.
create table staging.legacy_identities (
    id uuid not null default gen_random_uuid(),
    source varchar(50) not null,
    legacy_user_id varchar(100) not null,
    user_id uuid not null,
    -- as the source spelled it
    email varchar(320),
    username varchar(100),
    created_at timestamptz,
    -- since when it is proved that the account is this person's, and by what; null as long as it is not
    proved_at timestamptz,
    proved_by varchar(100),
    constraint legacy_identities_pkey primary key (id),
    constraint legacy_identities_account_key unique (source, legacy_user_id),
    constraint legacy_identities_user_id_fkey foreign key (user_id) references staging.users (id) on delete cascade,
    constraint legacy_identities_proof_check check ((proved_at is null) = (proved_by is null))
);

create index legacy_identities_user_id_idx on staging.legacy_identities (user_id);
