-- The accounts of each person, and the person's row in the unified database as one more, in the order in which they
-- give values: `place` 1 is the account logged into last. Only who `decides` is asked for names and sign-ins: where
-- somebody has changed the row in the unified database, that is this row alone. Of several accounts it is those
-- proved to be the person's: who registers somebody's address at the other application gives nothing to anybody.
drop table if exists input.member;

create table input.member as
with member as (
    select
        user_id,
        source,
        legacy_id,
        email,
        email_key,
        username,
        oauth_provider,
        oauth_id,
        created_at,
        last_login,
        proved_by is not null as is_proved,
        false as is_changed
    from input.account
    where fate = 'staged'
    union all
    select
        live.id as user_id,
        'unified' as source,
        live.id::text as legacy_id,
        live.email,
        live.email as email_key,
        live.username,
        live.oauth_provider,
        live.oauth_id,
        live.created_at,
        live.last_login,
        -- it says what its accounts have said
        null as is_proved,
        change.id is not null as is_changed
    from input.live_users as live
    left join input.live_changed as change on live.id = change.id and change.table_name = 'users'
)

select
    member.*,
    member.is_changed
    or (
        not bool_or(member.is_changed) over (partition by member.user_id)
        and (
            count(member.is_proved) over (partition by member.user_id) < 2
            or coalesce(member.is_proved, bool_and(member.is_proved) over (partition by member.user_id))
        )
    ) as decides,
    row_number() over (
        partition by user_id
        order by
            -- what nobody has changed there says what the accounts said then, and they may say something else by now
            (source = 'unified' and not is_changed) asc,
            last_login desc nulls last,
            (source = 'unified') desc,
            created_at desc nulls last,
            source collate "C" asc,
            legacy_id collate "C" asc
    ) as place
from member;

create index on input.member (user_id, place);
analyze input.member;

-- One row per person. A value that the first account lacks comes from the next that has it; the OAuth pair is taken
-- as a pair, because half of one and half of another signs nobody in.
drop table if exists input.person;

create table input.person as
select
    user_id as id,
    -- the address of the unified database stands: the person may have changed it there
    coalesce(
        min(email) filter (where source = 'unified'),
        (array_agg(email_key order by place) filter (where email_key is not null))[1]
    ) as email,
    (array_agg(username order by place) filter (where decides and username is not null))[1] as username,
    (array_agg(oauth_provider order by place) filter (where decides and oauth_id is not null))[1] as oauth_provider,
    (array_agg(oauth_id order by place) filter (where decides and oauth_id is not null))[1] as oauth_id,
    min(created_at) as created_at,
    max(last_login) as last_login,
    count(*) filter (where source <> 'unified') as accounts,
    bool_or(source = 'unified') as is_live
from input.member
group by user_id;

alter table input.person alter column id set not null;
alter table input.person alter column email set not null;
alter table input.person add primary key (id);
analyze input.person;
