select to_jsonb(t)::text
from {table} as t
where t.{key}::text = %(key)s
