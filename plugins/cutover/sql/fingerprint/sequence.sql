select format('%s %s', last_value, is_called) from {sequence}
