-- Where the application looks for names: by the setting of its role in this database, of the role, or of the database;
-- else PostgreSQL's own.
select coalesce(
    (
        select regexp_replace(o.option, '^search_path=', '')
        from pg_catalog.pg_db_role_setting as s
        cross join unnest(s.setconfig) as o (option)
        where o.option like 'search\_path=%%' and s.setdatabase in (
                0, (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
            ) and s.setrole in (0, %(role)s::oid) and (s.setdatabase, s.setrole) <> (0, 0)
        order by s.setrole = 0, s.setdatabase = 0
        limit 1
    ),
    (select s.boot_val from pg_catalog.pg_settings as s where s.name = 'search_path')
) as search_path
