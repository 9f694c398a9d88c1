-- Rows that the last complete scan still saw.
create table input.systemeio_contacts as
select *
from raw.systemeio_contacts
where gone_at is null;
