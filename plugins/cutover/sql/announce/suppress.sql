-- This address or device gets nothing any more.
insert into cutover.suppression (recipient, reason)
values (cutover.person_digest(%(recipient)s), %(reason)s)
on conflict do nothing
