-- Scorecard: what the migration is to reach, and what it reaches with this data. What is the running platform's cannot
-- be known before it is in use: it is named with its target, and measured then.
with
revenue as (
    select
        (
            select coalesce(sum(monthly_amount), 0)
            from input.billed
            where status = 'active' and monthly_amount <> 'NaN'
        ) as before,
        (
            select coalesce(sum(monthly_amount), 0)
            from staging.subscriptions
            where status = 'active' and monthly_amount <> 'NaN'
        ) as after
),

balance as (
    select
        sum(read) as read,
        sum(read - staged - merged - left_out - rejected) as unaccounted,
        sum(rejected) as rejected
    from cutover.reconciliation
    where run = %(run)s
),

shared_link as (
    select
        count(*) as links,
        count(staged.id) as working
    from input.compatibility_results as source
    left join staging.compatibility_results as staged on source.share_code = staged.share_code
    where
        source.share_code is not null
        and not exists (
            select
            from cutover.rejects as reject
            where
                reject.run = %(run)s
                and reject.source = 'compatibility_results'
                and reject.source_id = source.id::text
        )
),

measured (position, criterion, target, measured, met) as (
    select
        1,
        'people',
        '4,000 or more',
        to_char(count(*), 'FM999,999,999,990'),
        count(*) >= 4000
    from staging.users
    union all
    select
        2,
        'birth charts',
        '1,500 or more',
        to_char(count(*), 'FM999,999,999,990'),
        count(*) >= 1500
    from staging.birth_charts
    union all
    select
        3,
        'compatibility results',
        '1,000 or more',
        to_char(count(*), 'FM999,999,999,990'),
        count(*) >= 1000
    from staging.compatibility_results
    union all
    select
        4,
        'monthly revenue kept',
        'all of ' || before::numeric(20, 2),
        after::numeric(20, 2)::text,
        after >= before
    from revenue
    union all
    select
        5,
        'source rows without a trace',
        '0',
        coalesce(unaccounted, 0)::text,
        coalesce(unaccounted, 0) = 0
    from balance
    union all
    select
        6,
        'source rows rejected, by name',
        'less than 1 %%',
        rejected || ' of ' || read || ' ('
        || round(100.0 * rejected / greatest(read, 1), 2) || ' %%)',
        rejected < greatest(read, 1) * 0.01
    from balance
    union all
    select
        7,
        'shared links that go on working, but for results rejected by name',
        'all of ' || links,
        working::text,
        working = links
    from shared_link
    union all
    select
        8 + running.position,
        running.criterion,
        running.target,
        '-',
        null
    from (
        values
        (0, 'failed sign-ins, once in use', 'less than 2 %%'),
        (1, 'response time at 500 users at once, 95th percentile, once in use', 'less than 500 ms'),
        (2, 'people that the platform can hold, once in use', '10,000 or more'),
        (3, 'requests that end in an error, once in use', 'less than 1 %%'),
        (4, 'unplanned downtime, once in use', 'none')
    ) as running (position, criterion, target)
)

select
    criterion,
    target,
    measured,
    case
        when met then 'reached'
        when met is null then 'not measured yet'
        else 'not reached'
    end as verdict
from measured
order by position asc
