with
seen as (
    insert into events (profile_id, kind, at, details)
    select
        id,
        'video' as kind,
        now() as at,
        jsonb_build_object('visit', %(visit)s::text) as details
    from unified_profiles
    where id = %(profile)s
    returning profile_id
),

told as (
    insert into notifications (profile_id, title)
    select
        profile_id,
        'Welcome back' as title
    from seen
)

select profile_id from seen
