-- Rows that a sync was shown, how many of them could not be stored, and how many different rows could not be since the
-- last sync of the source in which one could.
select
    s.rows,
    s.rejected,
    (
        select count(distinct coalesce(r.source_id, r.reject_id::text))
        from cutover.rejects as r
        where
            r.run is null
            and r.source = s.source
            and r.sync_id <= s.sync_id
            and r.sync_id > coalesce(
                (
                    select max(before.sync_id)
                    from cutover.sync as before
                    where before.source = s.source and before.sync_id < s.sync_id and before.rows > before.rejected
                ),
                0
            )
    ) as in_a_row
from cutover.sync as s
where s.sync_id = %(sync_id)s
