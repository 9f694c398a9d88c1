-- Rows that the last copy still saw.
create table input.compatibility_user_preferences as
select *
from raw.compatibility_user_preferences
where gone_at is null;
