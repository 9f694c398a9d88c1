-- Makes a subscription what its events say. One that is so already stays untouched: a write that changes nothing would
-- keep the sources' later word away at the next launch.
update public.subscriptions
set
    status = %(status)s::text,
    plan_name = %(plan_name)s::text,
    monthly_amount = %(monthly_amount)s::numeric,
    next_billing_at = %(next_billing_at)s::timestamptz
where
    id = %(id)s
    and (status, plan_name, monthly_amount, next_billing_at)
    is distinct from (
        %(status)s::text, %(plan_name)s::text, %(monthly_amount)s::numeric, %(next_billing_at)s::timestamptz
    );
