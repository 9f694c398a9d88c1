-- One row, of no column, if there is any.
select from {raw} limit 1
