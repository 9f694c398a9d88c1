-- The one spelling of an e-mail address that says who a person is; null when the address is not usable.
-- Business rules: lower(btrim(address)); unusable: null, empty, no single @, white space inside, over 320 characters.
create or replace function cutover.email_key(address text) returns text
language sql immutable parallel safe
return case
    when
        lower(btrim(address)) ~ '^[^@]*@[^@]*$'
        -- [:space:] leaves out the blanks that only Unicode knows (no-break space and its kind)
        and btrim(address) !~ '[[:space:]\u00a0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff]'
        and length(lower(btrim(address))) <= 320
        then lower(btrim(address))
end;
