-- Rows that the last copy still saw.
create table input.dasha_user_preferences as
select *
from raw.dasha_user_preferences
where gone_at is null;
