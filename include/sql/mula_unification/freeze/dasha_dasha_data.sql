-- Rows that the last copy still saw.
create table input.dasha_dasha_data as
select *
from raw.dasha_dasha_data
where gone_at is null;
