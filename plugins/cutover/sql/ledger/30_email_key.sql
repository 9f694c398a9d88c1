-- The one spelling of an e-mail address that says who a person is; null when the address is not usable.
-- Business rules: lower(btrim(normalize(address, NFC))); unusable: null, empty, no single @, nothing before it or after
-- it, no dot in the domain, white space inside, over 320 characters.
create or replace function cutover.email_key(address text) returns text
language sql immutable parallel safe
return case
    when
        -- something on both sides of a dot
        lower(btrim(normalize(address, nfc))) ~ '^[^@]+@[^@]+[.][^@]+$'
        -- [:space:] leaves out the blanks that only Unicode knows (no-break space and its kind)
        and btrim(address) !~ '[[:space:]\u00a0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff]'
        and length(lower(btrim(normalize(address, nfc)))) <= 320
        then lower(btrim(normalize(address, nfc)))
end;

-- The same, and unusable, too, when it is longer than the column of the accounts takes.
create or replace function cutover.email_key(address text, longest integer) returns text
language sql immutable parallel safe
return case when length(cutover.email_key(address)) <= longest then cutover.email_key(address) end;
