-- Which of some rows, told by key, were written since a swap. Images are taken apart only where a value of a key stands
-- in them (firsts: of the keys' first column), unless one may be written otherwise there (is_plain).
with candidate as materialized (
    select t as change
    from cutover.changelog as t
    where
        t.relid = %(relid)s
        and t.xid >= pg_catalog.pg_snapshot_xmin(%(since)s::pg_snapshot)
        and not pg_catalog.pg_visible_in_snapshot(t.xid, %(since)s::pg_snapshot)
        and t.xid is distinct from %(but)s::xid8
        and (
            not %(is_plain)s
            or coalesce(t.old_image, t.new_image) is null
            or exists (
                select
                from unnest(string_to_array(
                        translate(concat_ws(',', t.old_image, t.new_image), '()"', ''), ','
                    )) as token (value)
                where token.value in (select f.value from unnest(%(firsts)s::text[]) as f (value))
            )
        )
)

select distinct array[{key}]::text[] as key
from candidate as t
cross join
    lateral (
        values (cutover.captured_row(t.change, 'old')), (cutover.captured_row(t.change, 'new'))
    ) as w (image)
where w.image is not null
