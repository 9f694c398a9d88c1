-- The catalogue as it is now: a product added while the run waits for approval belongs to the next run.
create table input.product as
select *
from cutover.product;
