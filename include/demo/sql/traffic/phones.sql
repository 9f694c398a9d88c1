select
    'phone of profile' as what,
    expected.a,
    expected.b,
    profile.phone as found
from expected
left join unified_profiles as profile on expected.a = profile.id::text
where profile.phone is distinct from expected.b
