-- Audiences that nobody needs any more: of runs that can tell nobody by now, and of this one, made anew.
delete from cutover.audience as a
using cutover.run as r
where a.run = r.run and (a.run = %(run)s or r.started_at < clock_timestamp() - interval '30 days')
