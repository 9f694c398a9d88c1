-- Every member who has a profile keeps it, in every column, and with it the enrolments and what is owed.
(
    select
        'unified_profiles' as table_name,
        c.id
    from input.unified_profiles as c
    inner join input.member as m on c.id = m.account_id
    left join staging.unified_profiles as p on c.id = p.id
    where
        m.test_account is null
        and to_jsonb(c) - 'affiliate_id' is distinct from to_jsonb(p) - 'affiliate_id'
)
union all
(
    select
        'affiliates' as table_name,
        c.id
    from input.affiliates as c
    inner join input.member as m on c.user_id = m.account_id
    left join staging.affiliates as a on c.id = a.id
    where
        m.test_account is null
        and m.has_profile
        and to_jsonb(c) is distinct from to_jsonb(a)
)
union all
(
    select
        'enrollments' as table_name,
        c.id
    from input.enrollments as c
    inner join input.member as m on c.user_id = m.account_id
    left join staging.enrollments as e on c.id = e.id
    where
        m.test_account is null
        and m.has_profile
        and to_jsonb(c) - 'transaction_id' is distinct from to_jsonb(e) - 'transaction_id'
)
