select format_type(t.type, null) as name
from unnest(%(types)s::oid[]) with ordinality as t (type, place)
order by t.place
