-- Rows that the last copy still saw.
create table input.compatibility_users as
select *
from raw.compatibility_users
where gone_at is null;
