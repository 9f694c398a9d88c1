-- Accounts that gave their person neither name nor sign-in, since nothing proves that they are theirs
select
    source,
    legacy_id,
    user_id,
    username,
    oauth_provider
from input.member
where
    source <> 'unified'
    and not is_proved
    and not decides
order by source asc, legacy_id asc
