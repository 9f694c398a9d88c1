-- Which account each customer has or gets. `found` says how: `account` (an account has this e-mail key), `derived id`
-- (no account has the key, but the id derived from it is an account: that person has changed address in production
-- since an earlier launch), `new`.
drop table if exists input.person;

create table input.person as
with
-- Of several accounts with one key: the one that has a profile, else one that was not deleted, else one that signs in
-- by e-mail, else the oldest.
account as (
    select distinct on (cutover.email_key(u.email))
        u.id,
        cutover.email_key(u.email) as email_key
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

chosen as (
    select
        customer.email_key,
        account.id as account_id,
        identity.id as derived_id,
        derived.id is not null as derived_is_account,
        other.email_key is not null as derived_is_another_customer
    from input.customer as customer
    left join account on customer.email_key = account.email_key
    left join input.identity as identity on customer.email_key = identity.email_key
    left join input.auth_users as derived on identity.id = derived.id
    left join input.customer as other on cutover.email_key(derived.email) = other.email_key
)

select
    email_key,
    case
        when account_id is not null then account_id
        -- the derived id belongs to somebody else now: derive another, just as stable
        when derived_is_another_customer then md5('clean_launch/users/' || email_key)::uuid
        else derived_id
    end as id,
    case
        when account_id is not null then 'account'
        when derived_is_account and not derived_is_another_customer then 'derived id'
        else 'new'
    end as found
from chosen;

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
