-- The revert window: with the approval of a swap a person may approve beforehand that exactly this swap is taken back,
-- within so many minutes of it.
alter table cutover.approvals add column if not exists revert_minutes integer
check (revert_minutes between 1 and 1440);
-- Of a rollback that nobody was asked about: the approval of the swap, in which it was approved beforehand.
alter table cutover.approvals add column if not exists pre_approval_id bigint
references cutover.approvals (approval_id);
