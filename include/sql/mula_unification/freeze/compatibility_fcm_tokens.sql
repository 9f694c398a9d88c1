-- Rows that the last copy still saw.
create table input.compatibility_fcm_tokens as
select *
from raw.compatibility_fcm_tokens
where gone_at is null;
