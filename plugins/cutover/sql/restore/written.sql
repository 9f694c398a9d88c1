-- Keys of rows that were written since a swap, of the captured writes that are about people.
with theirs as (
    select
        cutover.captured_row(t, 'old') as old_row,
        cutover.captured_row(t, 'new') as new_row
    from cutover.changelog as t
    where
        t.relid = %(relid)s
        and t.xid >= pg_catalog.pg_snapshot_xmin(%(since)s::pg_snapshot)
        and not pg_catalog.pg_visible_in_snapshot(t.xid, %(since)s::pg_snapshot)
        and t.xid is distinct from %(but)s::xid8
        and {condition}
)

select distinct array[{key}]::text[] as key
from theirs as t
cross join lateral (values (t.old_row), (t.new_row)) as w (image)
where w.image is not null
