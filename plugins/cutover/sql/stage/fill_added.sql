-- A row that stays keeps what the application has put into columns of its own.
update {staged} as s
set ({own}) = (select {kept})
from {copy} as a
where {same_row}
