-- The different addresses of a column as digests, in the order of their bytes: to find those that other sources have.
select distinct
    encode(sha256(convert_to(lower(btrim(normalize({column}::text, nfc))), 'UTF8')), 'hex') collate "C" as key,
    '' as value
from {source}
where {column}::text ~ '^[[:space:]]*[^@[:space:]]+@[^@[:space:]]+[.][^@[:space:]]+[[:space:]]*$'
order by 1
