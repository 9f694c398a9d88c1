-- Rows that the last complete scan still saw.
create table input.xendit_invoices as
select *
from raw.xendit_invoices
where gone_at is null;
