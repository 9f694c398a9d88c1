select
    t.{key}::text,
    to_jsonb(t)::text
from {table} as t
order by t.{key}
