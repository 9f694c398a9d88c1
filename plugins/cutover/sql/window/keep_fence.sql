-- What every writer takes, and a fenced table gives to whoever does not write: nobody changes its triggers meanwhile.
lock table {table} in row exclusive mode
