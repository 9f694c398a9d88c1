select cutover.make_capture(to_regclass(t.name)) from unnest(%(names)s::text[]) as t (name)
