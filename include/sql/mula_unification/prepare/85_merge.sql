-- Who was merged, by which rule, and whose value won for each field. A new try of the same run replaces its own rows.
with
merged as (
    select
        member.user_id,
        case
            when bool_or(account.is_mapped) then 'mapped by an earlier launch'
            when count(distinct account.email) > 1 then 'same e-mail address, spelled differently'
            else 'same e-mail address'
        end as rule,
        jsonb_agg(
            jsonb_build_object(
                'source', member.source,
                'legacy_user_id', member.legacy_id,
                'email', member.email,
                'username', member.username,
                'oauth_provider', member.oauth_provider,
                'oauth_id', member.oauth_id,
                'is_proved', member.is_proved,
                'created_at', member.created_at,
                'last_login', member.last_login
            )
            order by member.place
        ) as accounts
    from input.member as member
    left join input.account as account on member.source = account.source and member.legacy_id = account.legacy_id
    group by member.user_id
    having count(*) filter (where member.source <> 'unified') > 1
),

-- field by field, the first member that has a value in the order in which the field is decided
candidate as (
    select
        member.user_id,
        field.name,
        field.value,
        member.source,
        member.legacy_id,
        row_number() over (
            partition by member.user_id, field.name
            order by
                case field.name
                    when 'created_at' then member.created_at
                end asc nulls last,
                case field.name
                    when 'email' then (member.source = 'unified')::integer
                end desc nulls last,
                member.place asc
        ) as choice
    from input.member as member
    inner join merged on member.user_id = merged.user_id
    cross join
        lateral (
            values
            ('email', to_jsonb(member.email_key)),
            ('username', to_jsonb(member.username)),
            ('oauth', case
                when member.oauth_id is not null
                    then jsonb_build_object('provider', member.oauth_provider, 'id', member.oauth_id)
            end),
            ('created_at', to_jsonb(member.created_at)),
            ('last_login', to_jsonb(member.last_login))
        ) as field (name, value)
    where
        field.value is not null
        and (member.decides or field.name not in ('username', 'oauth'))
    union all
    select
        chart.user_id,
        'default_chart' as name,
        to_jsonb(chart.id) as value,
        chart.source,
        chart.legacy_id,
        row_number() over (partition by chart.user_id order by chart.created_at desc, chart.id asc) as choice
    from input.chart as chart
    inner join merged on chart.user_id = merged.user_id
    where
        chart.is_default
        and chart.fate in ('staged', 'merged')
    union all
    select
        preference.user_id,
        'preferences' as name,
        to_jsonb(preference.updated_at) as value,
        preference.source,
        preference.legacy_id,
        preference.place as choice
    from input.preference as preference
    inner join merged on preference.user_id = merged.user_id
    where preference.fate in ('staged', 'merged')
),

won as (
    select
        user_id,
        jsonb_object_agg(
            name, jsonb_build_object('value', value, 'source', source, 'legacy_id', legacy_id)
        ) as fields
    from candidate
    where choice = 1
    group by user_id
),

stale as (
    delete from cutover.merge as kept
    where
        kept.run = %(run)s
        and not exists (select from merged where merged.user_id = kept.user_id)
)

insert into cutover.merge (run, user_id, rule, accounts, fields)
select
    %(run)s as run,
    merged.user_id,
    merged.rule,
    merged.accounts,
    coalesce(won.fields, '{}') as fields
from merged
left join won on merged.user_id = won.user_id
on conflict (run, user_id) do update set
    rule = excluded.rule,
    accounts = excluded.accounts,
    fields = excluded.fields,
    recorded_at = clock_timestamp()
