-- Which account each customer has or gets. `found` says how: `account` (an account has this e-mail key), `profile`
-- (an account with another address has a profile with this one), `derived id` (the id derived from the key is an
-- account: a launch made it, and the person has changed address since), `new`.
drop table if exists input.person;

create table input.person as
with
-- Of several accounts with one key: the one that has a profile, else one that was not deleted, else one that signs in
-- by e-mail, else the oldest.
by_account as (
    select distinct on (cutover.email_key(u.email))
        cutover.email_key(u.email) as email_key,
        u.id
    from input.auth_users as u
    left join input.unified_profiles as p on u.id = p.id
    where cutover.email_key(u.email) is not null
    order by
        cutover.email_key(u.email) asc,
        (p.id is not null) desc,
        (u.deleted_at is null) desc,
        u.is_sso_user asc,
        u.created_at asc nulls last,
        u.id asc
),

-- Accounts whose own address is no customer's: they may belong to a customer under an earlier address.
unclaimed as (
    select
        u.id,
        u.created_at
    from input.auth_users as u
    left join input.customer as owner_of_address on cutover.email_key(u.email) = owner_of_address.email_key
    where owner_of_address.email_key is null
),

by_profile as (
    select distinct on (cutover.email_key(p.email))
        cutover.email_key(p.email) as email_key,
        u.id
    from input.unified_profiles as p
    inner join unclaimed as u on p.id = u.id
    where
        cutover.email_key(p.email) is not null
        and not exists (select from by_account where by_account.email_key = cutover.email_key(p.email))
    order by cutover.email_key(p.email) asc, u.created_at asc nulls last, u.id asc
),

found as (
    select
        customer.email_key,
        by_account.id as account_id,
        by_profile.id as profile_id,
        identity.id as derived_id,
        taken.id is not null as derived_is_taken,
        unclaimed.id is not null and other.id is null as derived_is_unclaimed
    from input.customer as customer
    left join by_account on customer.email_key = by_account.email_key
    left join by_profile on customer.email_key = by_profile.email_key
    left join input.identity as identity on customer.email_key = identity.email_key
    left join input.auth_users as taken on identity.id = taken.id
    left join unclaimed on identity.id = unclaimed.id
    left join (
        select by_profile.id
        from by_profile
        inner join input.customer as adopter on by_profile.email_key = adopter.email_key
    ) as other on identity.id = other.id
)

select
    email_key,
    case
        when account_id is not null then account_id
        when profile_id is not null then profile_id
        -- the derived id belongs to somebody else now: derive another, just as stable
        when derived_is_taken and not derived_is_unclaimed then md5('clean_launch/users/' || email_key)::uuid
        else derived_id
    end as id,
    case
        when account_id is not null then 'account'
        when profile_id is not null then 'profile'
        when derived_is_unclaimed then 'derived id'
        else 'new'
    end as found
from found;

-- a customer without an id is an error here and not a row lost in a join later
alter table input.person alter column id set not null;
alter table input.person add primary key (email_key);
alter table input.person add unique (id);
analyze input.person;

-- Every account of each customer: what production knows about a person may hang on an account that was not chosen.
drop table if exists input.person_account;

create table input.person_account as
with owned as (
    select
        person.email_key,
        person.id as person_id,
        u.id as account_id,
        u.created_at
    from input.person as person
    inner join input.auth_users as u on person.email_key = cutover.email_key(u.email)
    union
    select
        person.email_key,
        person.id as person_id,
        u.id as account_id,
        u.created_at
    from input.person as person
    inner join input.auth_users as u on person.id = u.id
)

select
    email_key,
    person_id,
    account_id,
    row_number() over (
        partition by email_key
        order by (account_id = person_id) desc, created_at asc nulls last, account_id asc
    ) as place
from owned;

alter table input.person_account add primary key (account_id);
create index on input.person_account (email_key);
analyze input.person_account;
