-- Every answer to the question of a run, in the order given. An earlier version has no columns for whom, nor for how
-- long it was given beforehand that it is taken back.
select
    a.approval_id,
    a.decision,
    a.fingerprint,
    a.approved_by as person,
    to_jsonb(a) ->> 'answers_for' as answers_for,
    a.comment,
    (to_jsonb(a) ->> 'revert_minutes')::integer as revert_minutes,
    array_remove(array[r.triggered_by, a.triggered_by], null) as triggered_by,
    a.decided_at,
    a.expires_at,
    a.expires_at <= clock_timestamp() as is_over,
    a.consumed_at,
    a.consumed_by
from cutover.approvals as a
left join cutover.run as r on a.run = r.run
where a.run = %(run)s and a.action = %(action)s
order by a.approval_id
