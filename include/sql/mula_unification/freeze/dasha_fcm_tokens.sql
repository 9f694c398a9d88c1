-- Rows that the last copy still saw.
create table input.dasha_fcm_tokens as
select *
from raw.dasha_fcm_tokens
where gone_at is null;
