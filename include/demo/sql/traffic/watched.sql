select
    'progress of enrolment' as what,
    expected.a,
    expected.b,
    expected.c,
    progress.watched_seconds as found
from expected
left join lesson_progress as progress
    on expected.a = progress.enrollment_id::text and expected.b = progress.lesson_id::text
where progress.watched_seconds::text is distinct from expected.c
