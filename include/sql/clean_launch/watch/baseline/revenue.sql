-- What was approved: the transactions that are staged
select count(*)
from staging.transactions
