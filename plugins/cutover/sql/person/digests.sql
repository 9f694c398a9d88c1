select cutover.person_digest(v) from unnest(%(values)s::text[]) as v
