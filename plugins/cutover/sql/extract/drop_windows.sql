-- Windows whose pages are all gone tell nothing that cutover.sync does not say.
delete from cutover.sync_window as w
where
    w.sync_id = %(sync_id)s
    and not exists (
        select 1
        from cutover.sync_page as p
        where
            p.sync_id = w.sync_id
            and p.window_no = w.window_no
    )
