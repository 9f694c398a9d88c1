-- Rows that the last complete scan still saw.
create table input.systemeio_tags as
select *
from raw.systemeio_tags
where gone_at is null;
