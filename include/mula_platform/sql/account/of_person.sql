-- One account of a person.
select a.*
from platform.accounts_of(%(user_id)s) as a
where a.identity_id = %(identity_id)s;
