-- Whether this version has been installed: an earlier one has no place for what was told.
select to_regclass('cutover.delivery') is not null as is_there
