-- Every staged customer has the account that the profile points at, under the customer's own address or an older one.
select staged.id
from staging.users as staged
-- who has deleted the account since the freeze has no profile any more, and needs none
inner join staging.unified_profiles as profile on staged.id = profile.id
left join auth.users as u on staged.id = u.id
where
    u.id is null
    or (staged.is_new and cutover.email_key(u.email) is distinct from staged.email)
