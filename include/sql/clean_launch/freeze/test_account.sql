-- Who is a test account, as the operator says it today.
create table input.test_account as
select *
from cutover.test_account;
