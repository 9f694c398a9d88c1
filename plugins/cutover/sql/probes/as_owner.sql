select {schema}.cutover_as_owner(%(statement)s::pg_catalog.text) as answer
