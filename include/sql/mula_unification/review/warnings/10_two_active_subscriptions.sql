-- People with two active subscriptions, who are billed twice
select
    user_id,
    count(*) as active,
    sum(monthly_amount) as monthly_amount,
    array_agg(stripe_subscription_id order by stripe_subscription_id) as stripe_subscriptions
from staging.subscriptions
where status = 'active'
group by user_id
having count(*) > 1
order by user_id
