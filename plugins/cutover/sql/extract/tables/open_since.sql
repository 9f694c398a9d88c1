-- Whether rows may have been written to these sources, in whatever way, since all of them were compared by content:
-- late writes were found, or a window that had kept writers out has ended without a swap, or by a rollback.
with compared as (
    select coalesce(min(coalesce(newest.started_at, '-infinity')), '-infinity') as all_at
    from unnest(%(sources)s::text[]) as named (source)
    left join lateral (
        select max(s.started_at) as started_at
        from cutover.sync as s
        where
            s.source = named.source
            and s.state = 'complete'
            and (s.mode = 'full' or s.because like 'rows compared by content%%')
    ) as newest on true
)

select
    exists (
        select
        from cutover.late_write as late
        where late.source = any(%(sources)s) and late.written + late.removed > 0 and late.looked_at > compared.all_at
    )
    or exists (
        select
        from cutover.timeline as released
        inner join cutover.run as r on released.run = r.run
        where
            r.migration = %(migration)s
            and released.step = 'release'
            and released.ended_at > compared.all_at
    ) as is_open_since
from compared
