select
    'visit' as what,
    expected.a,
    expected.b
from expected
where
    not exists (
        select
        from events
        where
            events.profile_id::text = expected.b
            and events.details ->> 'visit' = expected.a
    )
