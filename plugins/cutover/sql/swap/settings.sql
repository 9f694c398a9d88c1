-- Every setting that the swap leans on, for this transaction, whatever the role, the database or the driver ask for.
-- `search_path` stays as each step sets it, and the bounds of the lock are set where it is taken.
select
    set_config('idle_in_transaction_session_timeout', %(idle)s, true),
    set_config('lock_timeout', '0', true),
    set_config('statement_timeout', '0', true),
    set_config('check_function_bodies', 'off', true),
    set_config('row_security', 'off', true),
    set_config('timezone', 'UTC', true),
    set_config('datestyle', 'ISO, YMD', true),
    set_config('intervalstyle', 'postgres', true),
    set_config('extra_float_digits', '3', true),
    set_config('bytea_output', 'hex', true),
    set_config('lc_monetary', 'C', true),
    set_config('xmloption', 'content', true),
    set_config('standard_conforming_strings', 'on', true),
    set_config('transform_null_equals', 'off', true),
    set_config('array_nulls', 'on', true),
    set_config('gin_fuzzy_search_limit', '0', true),
    set_config('default_tablespace', '', true),
    set_config('temp_tablespaces', '', true)
