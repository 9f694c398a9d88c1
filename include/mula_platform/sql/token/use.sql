-- Uses a token up. No row: somebody has used it before, or does so at this moment and commits first.
insert into platform.used_token (digest, expires_at)
values (%(digest)s, %(expires_at)s)
on conflict (digest) do nothing
returning used_at;
