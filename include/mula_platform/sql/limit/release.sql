-- An attempt that was none: it succeeded.
update platform.failure
set attempts = greatest(attempts - 1, 0)
where bucket = %(bucket)s and window_start = date_bin(%(span)s, now(), timestamptz 'epoch');
