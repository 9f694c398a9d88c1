-- Rows that the last copy still saw.
create table input.dasha_users as
select *
from raw.dasha_users
where gone_at is null;
