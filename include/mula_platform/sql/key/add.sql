-- A new key, which signs from now on; the others retire.
with
retired as (
    update platform.signing_key
    set retired_at = now()
    where retired_at is null
)

insert into platform.signing_key (kid, jwk)
values (%(kid)s, %(jwk)s);
