-- Counts an attempt before it is made, so that many at once are no way around the limit.
insert into platform.failure as f (bucket, window_start, attempts)
values (%(bucket)s, date_bin(%(span)s, now(), timestamptz 'epoch'), 1)
on conflict (bucket, window_start) do update set attempts = least(f.attempts + 1, 1000000)
returning
    attempts,
    ceil(extract(epoch from window_start + %(span)s - now()))::integer as seconds_left;
