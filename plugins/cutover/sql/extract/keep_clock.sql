-- How far the API's clock was behind ours when the bound of this sync was frozen: the first answer tells.
update cutover.sync set clock_ahead = %(clock_ahead)s
where
    sync_id = %(sync_id)s
    and clock_ahead is null
