-- Runs of campaigns, newest first: the text, who approved it, and the report.
select
    r.run,
    r.dag_id,
    r.dag_run_id,
    r.triggered_by,
    r.started_at,
    r.finished_at,
    r.review ->> 'campaign' as campaign,
    r.review ->> 'subject' as subject,
    r.review ->> 'push' as push,
    r.review ->> 'text' as message,
    (r.review ->> 'due_at')::timestamptz as due_at,
    (
        select case a.decision when 'approve' then 'approved by ' else 'rejected by ' end || a.approved_by
        from cutover.approvals as a
        where a.run = r.run
        order by a.approval_id desc
        limit 1
    ) as answer,
    coalesce(
        (
            select p.result -> 'counts'
            from cutover.phase as p
            where p.run = r.run and p.step = 'send'
            order by p.record_id desc
            limit 1
        ),
        '[]'
    ) as report
from cutover.run as r
where r.migration = %(migration)s and r.dag_id = 'announce' and r.review is not null
order by r.started_at desc
limit %(limit)s
