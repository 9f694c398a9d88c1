create table input.unmerged as
select
    source,
    legacy_user_id,
    user_id,
    email_key
from cutover.unmerged;

analyze input.unmerged;
