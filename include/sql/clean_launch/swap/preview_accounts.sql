-- What a rollback does to the accounts that its launch has made, as they are now.
select
    count(*) as accounts_made,
    count(unused.id) as accounts_unused
from cutover.launch_of(%(undone)s) as about
inner join cutover.made_account as m on about.launch = m.run and about.in_place and m.taken_back_by is null
left join cutover.unused_accounts(about.launch, %(apart)s::oid[]) as unused (id) on m.account_id = unused.id
