-- Windows that are over, a few at each attempt: the table holds what the last windows counted and little more.
delete from platform.failure
where (bucket, window_start) in (
        select
            bucket,
            window_start
        from platform.failure
        where window_start < now() - %(kept)s
        limit 20
        for update skip locked
    );
