-- A device that nobody has any more.
update public.fcm_tokens
set is_active = false
where token = %(token)s and is_active
