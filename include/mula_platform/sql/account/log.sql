-- What people do.
insert into public.activity_log (user_id, action, metadata)
values (%(user_id)s, %(action)s, %(metadata)s);
