insert into auth.users (id, instance_id, aud, role, email, created_at, updated_at)
values (%(account)s, '00000000-0000-0000-0000-000000000000', 'authenticated', 'authenticated', %(email)s, now(), now())
returning id
