-- Types by their numbers and modifiers, as PostgreSQL writes them, in the order given; a type not known yet is text.
select case when t.type = 705 then 'text' else format_type(t.type, t.modifier) end as type
from unnest(%(types)s::oid[], %(modifiers)s::integer[]) with ordinality as t (type, modifier, place)
order by t.place
