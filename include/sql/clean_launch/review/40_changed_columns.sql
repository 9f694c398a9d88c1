-- Columns that change in rows which stay, by table.
with pair as (
    select
        'unified_profiles' as table_name,
        to_jsonb(b) as before,
        to_jsonb(a) as after
    from input.unified_profiles as b
    inner join staging.unified_profiles as a on b.id = a.id
    union all
    select
        'transactions' as table_name,
        to_jsonb(b) as before,
        to_jsonb(a) as after
    from input.transactions as b
    inner join staging.transactions as a on b.id = a.id
    union all
    select
        'enrollments' as table_name,
        to_jsonb(b) as before,
        to_jsonb(a) as after
    from input.enrollments as b
    inner join staging.enrollments as a on b.id = a.id
    union all
    select
        'affiliates' as table_name,
        to_jsonb(b) as before,
        to_jsonb(a) as after
    from input.affiliates as b
    inner join staging.affiliates as a on b.id = a.id
)

select
    pair.table_name,
    value.key as column_name,
    count(*) as changed,
    count(*) filter (where pair.before -> value.key = 'null') as was_empty,
    count(*) filter (where value.value = 'null') as becomes_empty
from pair
cross join lateral jsonb_each(pair.after) as value
where value.value is distinct from pair.before -> value.key
group by 1, 2
order by 1 asc, 3 desc, 2 asc
