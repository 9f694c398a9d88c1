-- Rows that the last copy still saw.
create table input.compatibility_subscriptions as
select *
from raw.compatibility_subscriptions
where gone_at is null;
