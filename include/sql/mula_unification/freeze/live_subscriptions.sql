-- What the unified database has by now; at the first launch it has no such table.
do $$
begin
    create table input.live_subscriptions (
        id uuid,
        user_id uuid,
        stripe_subscription_id text,
        plan_name text,
        monthly_amount numeric(10, 2),
        status text,
        started_at timestamptz,
        next_billing_at timestamptz
    );
    if to_regclass('public.subscriptions') is not null then
        insert into input.live_subscriptions
        select
            id,
            user_id,
            stripe_subscription_id,
            plan_name,
            monthly_amount,
            status,
            started_at,
            next_billing_at
        from public.subscriptions;
    end if;
end $$;
