-- Writers of these tables wait until this transaction ends; readers go on.
lock table {tables} in share row exclusive mode
