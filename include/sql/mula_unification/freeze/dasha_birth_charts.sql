-- Rows that the last copy still saw.
create table input.dasha_birth_charts as
select *
from raw.dasha_birth_charts
where gone_at is null;
