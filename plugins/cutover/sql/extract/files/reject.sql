-- A row that has no place, whole: as its columns where it can be read, else as the text of its lines, in UTF-8.
insert into pg_temp.rejected (source_id, reason, detail, source_row, source_bytes)
values (%(source_id)s, %(reason)s, %(detail)s, %(source_row)s::jsonb, %(source_bytes)s)
