insert into cutover.approvals (
    run, action, decision, fingerprint, task_id, try_number, approved_by, approved_by_id, triggered_by, comment,
    decided_at, expires_at, revert_minutes, pre_approval_id, answers_for, answer_no, comes_to, completes
)
values (
    %(run)s, %(action)s, %(decision)s, %(fingerprint)s, %(task_id)s, %(try_number)s, %(person)s, %(person_id)s,
    %(triggered_by)s, %(comment)s, %(decided_at)s, %(expires_at)s, %(revert_minutes)s, %(pre_approval_id)s,
    %(answers_for)s, %(answer_no)s, %(comes_to)s, %(completes)s
)
returning approval_id
