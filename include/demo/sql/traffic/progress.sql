insert into lesson_progress (enrollment_id, lesson_id, watched_seconds)
values (%(enrollment)s, %(lesson)s, %(seconds)s)
on conflict (enrollment_id, lesson_id) do update set watched_seconds = excluded.watched_seconds, updated_at = now()
returning lesson_id
