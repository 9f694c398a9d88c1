update cutover.audience as a
set digest = cutover.audience_digest(a)
where a.run = %(run)s
