-- A request about people.
insert into {requests} (migration, subject, digests, requested_by)
values (%(migration)s, %(subject)s, %(digests)s, %(by)s)
returning {number}
