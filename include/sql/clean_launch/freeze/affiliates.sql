-- Every column: what the APIs do not know is carried over, and the review compares before with after.
create table input.affiliates as
select *
from public.affiliates;
