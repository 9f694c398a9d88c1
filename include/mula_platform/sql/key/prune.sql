-- Keys whose last token has expired.
delete from platform.signing_key
where retired_at < now() - %(lifetime)s
returning kid;
