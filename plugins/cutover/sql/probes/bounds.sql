-- For how long a statement may run, wait for a lock, and have this transaction wait for us; and compiled or not as the
-- server would do it for the application.
select
    set_config('statement_timeout', %(statement)s, true) as statement,
    set_config('lock_timeout', %(lock)s, true) as lock,
    set_config('idle_in_transaction_session_timeout', %(idle)s, true) as idle,
    set_config('jit', (select s.boot_val from pg_catalog.pg_settings as s where s.name = 'jit'), true) as jit
