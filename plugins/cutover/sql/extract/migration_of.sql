select l.migration from cutover.lineage as l where l.table_name = %(table_name)s
