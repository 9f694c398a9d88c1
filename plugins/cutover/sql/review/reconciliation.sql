select
    r.source,
    r.read,
    r.staged,
    r.merged,
    r.left_out,
    r.rejected,
    r.reasons,
    r.read - r.staged - r.merged - r.left_out - r.rejected as difference,
    (
        select
            jsonb_agg(
                jsonb_build_object(
                    'sync_id', s.sync_id,
                    'mode', s.mode,
                    'finished_at', s.finished_at,
                    'pages', s.pages,
                    'rows', s.rows,
                    'first_id', s.first_id,
                    'last_id', s.last_id,
                    'not_given', s.not_given
                )
                order by s.sync_id
            )
        from cutover.reading as f
        join cutover.sync as s on s.sync_id in (f.full_sync_id, f.sync_id)
        where
            f.run = r.run
            and f.source = r.source
    ) as readings
from cutover.reconciliation as r
where r.run = %(run)s
order by r.source
