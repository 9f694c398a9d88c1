-- A request to erase a person.
insert into cutover.erasure (migration, subject, digests, requested_by)
values (%(migration)s, %(subject)s, %(digests)s, %(by)s)
returning erasure_id
