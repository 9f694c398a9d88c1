-- Which account each customer has or gets. `found` says how: `account` (an account has this e-mail key), `profile`
-- (an account with another address has a profile with this one, and a payment under it), `contact` (an account with an
-- address that the contact had before), `derived id` (the id derived from the key is an
-- account: a launch made it, and the person has changed address since), `new`.
drop table if exists input.person;

create table input.person as
with
-- Of several accounts with one key: a live one before a deleted one, one whose address was proved before one whose
-- address was not, then one with a profile, then one that signs in by e-mail, then the oldest.
by_account as (
    select distinct on (cutover.email_key(u.email))
        cutover.email_key(u.email) as email_key,
        u.id
    from input.auth_users as u
    left join input.unified_profiles as p on u.id = p.id
    where cutover.email_key(u.email) is not null
    order by
        cutover.email_key(u.email) asc,
        (u.deleted_at is null) desc,
        (u.email_confirmed_at is not null) desc,
        (p.id is not null) desc,
        u.is_sso_user asc,
        u.created_at asc nulls last,
        u.id asc
),

-- Accounts whose own address is no customer's: they may belong to a customer under an earlier address.
unclaimed as (
    select
        u.id,
        u.created_at,
        u.email_confirmed_at
    from input.auth_users as u
    left join input.customer as owner_of_address on cutover.email_key(u.email) = owner_of_address.email_key
    where owner_of_address.email_key is null
),

-- Whoever has an account may write what he likes into his profile: its address makes the account a customer's only if
-- production has already booked a payment under that address on it.
by_profile as (
    select distinct on (cutover.email_key(p.email))
        cutover.email_key(p.email) as email_key,
        u.id
    from input.unified_profiles as p
    inner join unclaimed as u on p.id = u.id
    where
        cutover.email_key(p.email) is not null
        and u.email_confirmed_at is not null
        and exists (
            select from input.transactions as booked
            inner join input.invoice as paid on booked.xendit_invoice_id = paid.id
            where booked.user_id = u.id and paid.email_key = cutover.email_key(p.email)
        )
        and not exists (select from by_account where by_account.email_key = cutover.email_key(p.email))
    order by cutover.email_key(p.email) asc, u.created_at asc nulls last, u.id asc
),

-- the contact's own account, under an earlier address
by_contact as (
    select distinct on (alias.person_key)
        alias.person_key as email_key,
        u.id
    from input.alias as alias
    inner join input.auth_users as u on alias.email_key = cutover.email_key(u.email)
    left join input.unified_profiles as p on u.id = p.id
    where
        not exists (
            select
            from by_profile
            inner join input.customer as adopter on by_profile.email_key = adopter.email_key
            where by_profile.id = u.id
        )
    order by
        alias.person_key asc,
        (u.deleted_at is null) desc,
        (u.email_confirmed_at is not null) desc,
        (p.id is not null) desc,
        u.is_sso_user asc,
        u.created_at asc nulls last,
        u.id asc
),

found as (
    select
        customer.email_key,
        by_account.id as account_id,
        by_profile.id as profile_id,
        by_contact.id as contact_account_id,
        identity.id as derived_id,
        taken.id is not null as derived_is_taken,
        unclaimed.id is not null and other.id is null as derived_is_unclaimed
    from input.customer as customer
    left join by_account on customer.email_key = by_account.email_key
    left join by_profile on customer.email_key = by_profile.email_key
    left join by_contact on customer.email_key = by_contact.email_key
    left join input.identity as identity on customer.email_key = identity.email_key
    left join input.auth_users as taken on identity.id = taken.id
    left join unclaimed on identity.id = unclaimed.id
    left join (
        select by_profile.id
        from by_profile
        inner join input.customer as adopter on by_profile.email_key = adopter.email_key
        union
        select by_contact.id
        from by_contact
        inner join input.customer as adopter on by_contact.email_key = adopter.email_key
    ) as other on identity.id = other.id
)

select
    email_key,
    case
        when account_id is not null then account_id
        when profile_id is not null then profile_id
        when contact_account_id is not null then contact_account_id
        -- the derived id belongs to somebody else now: derive another, just as stable
        when derived_is_taken and not derived_is_unclaimed then md5('clean_launch/users/' || email_key)::uuid
        else derived_id
    end as id,
    case
        when account_id is not null then 'account'
        when profile_id is not null then 'profile'
        when contact_account_id is not null then 'contact'
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
        u.email_confirmed_at is not null as is_proved,
        u.created_at
    from input.person as person
    inner join input.auth_users as u on person.email_key = cutover.email_key(u.email)
    union
    select
        person.email_key,
        person.id as person_id,
        u.id as account_id,
        u.email_confirmed_at is not null as is_proved,
        u.created_at
    from input.person as person
    inner join input.auth_users as u on person.id = u.id
    union
    select
        person.email_key,
        person.id as person_id,
        u.id as account_id,
        u.email_confirmed_at is not null as is_proved,
        u.created_at
    from input.person as person
    inner join input.alias as alias on person.email_key = alias.person_key
    inner join input.auth_users as u on alias.email_key = cutover.email_key(u.email)
    -- one that another customer goes on with is that one's
    where not exists (select from input.person as other where other.id = u.id and other.email_key <> person.email_key)
)

select
    email_key,
    person_id,
    account_id,
    -- whoever made an account without proving the address may be anybody
    is_proved,
    row_number() over (
        partition by email_key
        order by (account_id = person_id) desc, is_proved desc, created_at asc nulls last, account_id asc
    ) as place
from owned;

alter table input.person_account add primary key (account_id);
create index on input.person_account (email_key);
analyze input.person_account;
