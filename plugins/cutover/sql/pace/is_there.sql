select to_regclass('cutover.progress') is not null
