-- People of both applications whose settings differ
select
    encode(sha256(convert_to(lower(btrim(normalize(u.email, nfc))), 'UTF8')), 'hex') collate "C" as key,
    concat_ws(',', p.notifications_enabled, p.email_enabled, p.marketing_emails, p.timezone) as value
from public.users as u
inner join public.user_preferences as p on u.id = p.user_id
where u.email is not null
order by 1
