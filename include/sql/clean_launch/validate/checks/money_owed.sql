-- What current affiliates who are customers have earned is owed to them still, to the cent.
with
owed as (
    select
        account.person_id as user_id,
        sum(c.total_earned) as amount
    from input.affiliates as c
    inner join input.person_account as account on c.user_id = account.account_id
    group by account.person_id
)

select
    owed.user_id,
    owed.amount as owed,
    a.total_earned as staged
from owed
left join staging.affiliates as a on owed.user_id = a.user_id
where owed.amount is distinct from a.total_earned
