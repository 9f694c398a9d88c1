-- The triggers that record writes to a table. `enabled` is how: always, or not yet.
select
    t.name as object,
    s.statement
from unnest(%(names)s::text[]) as t (name)
cross join
    lateral (
        values
        (1, format(
            'create or replace trigger cutover_capture after insert or update or delete on %%s '
            'for each row execute function cutover.capture()', t.name
        )),
        (2, format(
            'create or replace trigger cutover_capture_truncate after truncate on %%s '
            'for each statement execute function cutover.capture()', t.name
        )),
        (3, format(
            'alter table %%1$s %%2$s trigger cutover_capture, %%2$s trigger cutover_capture_truncate',
            t.name,
            %(enabled)s::text
        ))
    ) as s (position, statement)
order by t.name, s.position
