-- Make the accounts that customers do not have yet. Existing accounts are not touched: no id, password or address
-- changes. The columns are those that GoTrue needs: it looks accounts up by the nil instance, the lower-case address
-- and the audience, and cannot read a null token. The address is confirmed, since the customer's receipts went there;
-- without a password the first sign-in is by a link sent to it.
with
added as (
    insert into auth.users (
        instance_id,
        id,
        aud,
        role,
        email,
        encrypted_password,
        email_confirmed_at,
        confirmation_token,
        recovery_token,
        email_change_token_new,
        email_change,
        raw_app_meta_data,
        raw_user_meta_data,
        created_at,
        updated_at
    )
    select
        '00000000-0000-0000-0000-000000000000' as instance_id,
        staged.id,
        'authenticated' as aud,
        'authenticated' as role,
        staged.email,
        '' as encrypted_password,
        now() as email_confirmed_at,
        '' as confirmation_token,
        '' as recovery_token,
        '' as email_change_token_new,
        '' as email_change,
        '{"provider": "email", "providers": ["email"]}' as raw_app_meta_data,
        staged.user_metadata as raw_user_meta_data,
        staged.created_at,
        now() as updated_at
    from staging.users as staged
    where
        staged.is_new
        and not exists (select from auth.users as u where u.id = staged.id)
    order by staged.created_at asc, staged.id asc
    returning id, email, created_at, raw_user_meta_data
),

-- a rollback takes back those that nobody has used
remembered as (
    insert into cutover.made_account as m (account_id, run, email, created_at, user_metadata)
    select
        id,
        %(run)s as run,
        email,
        created_at,
        raw_user_meta_data
    from added
    on conflict (account_id) do update set
        run = excluded.run,
        email = excluded.email,
        created_at = excluded.created_at,
        user_metadata = excluded.user_metadata,
        taken_back_by = null
)

insert into auth.identities (id, provider_id, user_id, identity_data, provider, created_at, updated_at)
select
    md5('clean_launch/identities/' || id)::uuid as id,
    id::text as provider_id,
    id as user_id,
    jsonb_build_object('sub', id, 'email', email, 'email_verified', true) as identity_data,
    'email' as provider,
    now() as created_at,
    now() as updated_at
from added
