-- What the application keeps in columns that the migration does not know, by key.
create table {copy} as
select {columns}
from {live}
