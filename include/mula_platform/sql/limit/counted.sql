-- What a bucket holds at this moment.
select
    attempts,
    ceil(extract(epoch from window_start + %(span)s - now()))::integer as seconds_left
from platform.failure
where bucket = %(bucket)s and window_start = date_bin(%(span)s, now(), timestamptz 'epoch');
