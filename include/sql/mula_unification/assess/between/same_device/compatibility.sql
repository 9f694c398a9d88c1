-- Devices of both applications that are not the same person's
select
    encode(sha256(convert_to(t.token, 'UTF8')), 'hex') collate "C" as key,
    encode(sha256(convert_to(lower(btrim(normalize(u.email, nfc))), 'UTF8')), 'hex') as value
from public.fcm_tokens as t
inner join public.users as u on t.user_id = u.id
where t.token is not null
order by 1
