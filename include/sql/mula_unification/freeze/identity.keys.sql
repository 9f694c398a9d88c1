-- Every usable e-mail key of both sources.
select cutover.email_key(email) as email_key
from input.dasha_users
where cutover.email_key(email) is not null
union
select cutover.email_key(email) as email_key
from input.compatibility_users
where cutover.email_key(email) is not null
