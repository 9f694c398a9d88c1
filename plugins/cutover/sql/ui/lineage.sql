-- Tables whose rows can be traced to their sources.
select l.table_name
from cutover.lineage as l
where l.migration = %(migration)s
order by l.table_name
