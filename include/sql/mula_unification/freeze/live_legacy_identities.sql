-- What the unified database has by now; at the first launch it has no such table.
do $$
begin
    create table input.live_legacy_identities (
        id uuid,
        source text,
        legacy_user_id text,
        user_id uuid,
        email text,
        username text,
        created_at timestamptz,
        proved_at timestamptz,
        proved_by text
    );
    if to_regclass('public.legacy_identities') is not null then
        insert into input.live_legacy_identities
        select
            id,
            source,
            legacy_user_id,
            user_id,
            email,
            username,
            created_at,
            proved_at,
            proved_by
        from public.legacy_identities;
    end if;
end $$;
