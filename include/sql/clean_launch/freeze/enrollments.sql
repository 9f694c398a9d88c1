-- Every column: what the APIs do not know is carried over, and the review compares before with after.
create table input.enrollments as
select *
from public.enrollments;
