-- Which of the given keys there are, whoever's row it is.
select array[{key}]::text[] as key
from {copy} as t
where
    to_jsonb(array[{key}]::text[]) = any(%(keys)s::text[]::jsonb[])
    and t.xmin::text::numeric is distinct from mod(%(but)s::numeric, 4294967296)
