select
    pg_catalog.set_config('statement_timeout', %(timeout)s, true),
    pg_catalog.set_config('row_security', 'off', true),
    -- what is searched for may be somebody's address
    pg_catalog.set_config('log_parameter_max_length_on_error', '0', true),
    -- every name is written in full, and none can be slipped in between; tables are shown with their schema
    pg_catalog.set_config('search_path', '', true)
