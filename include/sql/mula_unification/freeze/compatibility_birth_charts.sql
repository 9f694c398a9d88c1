-- Rows that the last copy still saw.
create table input.compatibility_birth_charts as
select *
from raw.compatibility_birth_charts
where gone_at is null;
