-- Rows that the last copy still saw.
create table input.dasha_subscriptions as
select *
from raw.dasha_subscriptions
where gone_at is null;
