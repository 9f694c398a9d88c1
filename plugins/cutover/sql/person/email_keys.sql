select cutover.email_key(v) from unnest(%(values)s::text[]) as v
