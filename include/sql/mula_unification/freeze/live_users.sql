-- What the unified database has by now; at the first launch it has no such table.
do $$
begin
    create table input.live_users (
        id uuid,
        email text,
        username text,
        oauth_provider text,
        oauth_id text,
        created_at timestamptz,
        last_login timestamptz
    );
    if to_regclass('public.users') is not null then
        insert into input.live_users
        select
            id,
            email,
            username,
            oauth_provider,
            oauth_id,
            created_at,
            last_login
        from public.users;
    end if;
end $$;
