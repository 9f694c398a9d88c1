-- A rollback that is rolled back: the accounts that it took are made again, as the launch had made them.
with
wanted as (
    select m.*
    from cutover.made_account as m
    inner join lateral cutover.launch_of(%(undone)s) as about on m.run = about.launch
    where
        not about.in_place
        and m.taken_back_by is not null
        and not exists (select from auth.users as u where u.id = m.account_id)
),

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
        account_id,
        'authenticated' as aud,
        'authenticated' as role,
        email,
        '' as encrypted_password,
        now() as email_confirmed_at,
        '' as confirmation_token,
        '' as recovery_token,
        '' as email_change_token_new,
        '' as email_change,
        '{"provider": "email", "providers": ["email"]}' as raw_app_meta_data,
        user_metadata as raw_user_meta_data,
        created_at,
        now() as updated_at
    from wanted
    order by created_at asc, account_id asc
    returning id, email
),

noted as (
    update cutover.made_account as m
    set taken_back_by = null
    from added
    where m.account_id = added.id
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
