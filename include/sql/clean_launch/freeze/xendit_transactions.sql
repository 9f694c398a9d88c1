-- Rows that the last complete scan still saw.
create table input.xendit_transactions as
select *
from raw.xendit_transactions
where gone_at is null;
