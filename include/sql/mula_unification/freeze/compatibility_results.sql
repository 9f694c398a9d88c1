-- Rows that the last copy still saw.
create table input.compatibility_results as
select *
from raw.compatibility_results
where gone_at is null;
