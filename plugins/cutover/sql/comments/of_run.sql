select
    c.author,
    c.words,
    c.written_at
from cutover.comment as c
where c.run = %(run)s
order by c.comment_id
