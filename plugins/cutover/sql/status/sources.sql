-- How long ago each endpoint was last read to its end; of one that never was, since it was first tried. Seconds.
select
    s.source,
    extract(
        epoch from clock_timestamp()
        - coalesce(max(s.finished_at) filter (where s.state = 'complete'), min(s.started_at))
    )::double precision as age_s
from cutover.sync as s
where s.source = any(%(sources)s)
group by s.source
order by s.source
