-- People
select
    figure,
    counted
from (
    select
        1 as position,
        'accounts in the Dasha Timer' as figure,
        count(*) as counted
    from input.dasha_users
    union all
    select
        2 as position,
        'accounts in Compatibility' as figure,
        count(*) as counted
    from input.compatibility_users
    union all
    select
        3 as position,
        'people' as figure,
        count(*) as counted
    from staging.users
    union all
    select
        4 as position,
        'people made of several accounts' as figure,
        count(*) as counted
    from cutover.merge
    where run = %(run)s
    union all
    select
        5 as position,
        'charts that a map of first accounts only would lose' as figure,
        count(*) as counted
    from input.chart as chart
    inner join staging.birth_charts as staged on chart.id = staged.id
    where
        chart.source = 'compatibility'
        and chart.user_id in (select account.user_id from input.account as account where account.source = 'dasha')
) as figures
order by position asc
