insert into cutover.released_key (backup_schema, table_name, constraint_name, definition, referenced_name)
values (%(backup_schema)s, %(table_name)s, %(constraint_name)s, %(definition)s, %(referenced_name)s)
on conflict (backup_schema, table_name, constraint_name) do update
    set definition = excluded.definition, referenced_name = excluded.referenced_name
