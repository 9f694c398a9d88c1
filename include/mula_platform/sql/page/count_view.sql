-- One more view of a shared result; returns how many there were here in all.
with
counted as (
    insert into platform.share_view as v (result_id, day, views)
    values (%(result_id)s, current_date, 1)
    on conflict (result_id, day) do update set views = v.views + 1
    returning v.views
)

select
    (select views from counted)
    + coalesce(
        (select sum(views) from platform.share_view where result_id = %(result_id)s and day <> current_date), 0
    ) as views;
