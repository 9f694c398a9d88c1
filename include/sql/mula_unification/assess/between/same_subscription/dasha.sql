-- Stripe subscriptions of both applications that are not the same person's
select
    encode(sha256(convert_to(s.stripe_subscription_id, 'UTF8')), 'hex') collate "C" as key,
    encode(sha256(convert_to(lower(btrim(normalize(u.email, nfc))), 'UTF8')), 'hex') as value
from public.subscriptions as s
inner join public.users as u on s.user_id = u.id
where s.stripe_subscription_id is not null
order by 1
