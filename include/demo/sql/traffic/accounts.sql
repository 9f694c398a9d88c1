select
    'account or its profile' as what,
    expected.a,
    expected.b
from expected
left join auth.users as account on expected.a = account.id::text and expected.b = account.email
left join unified_profiles as profile on account.id = profile.id
where profile.id is null
