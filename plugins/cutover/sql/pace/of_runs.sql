-- What tasks of runs do at this moment. A task that is at work says so every second: what is older was left by a kill.
select
    p.run,
    p.task_id,
    p.said
from cutover.progress as p
where p.run = any(%(runs)s::text[]) and p.noted_at > clock_timestamp() - interval '15 s'
order by p.run, p.task_id
