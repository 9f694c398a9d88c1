-- Who has been told, or is not told: what became of each message stays, who it was does not.
delete from cutover.audience as a
using cutover.announcement as n
where
    a.run = %(run)s
    and a.channel = n.channel
    and a.person = n.person
    and n.migration = %(migration)s
    and n.campaign = %(campaign)s
    and n.state in ('sent', 'failed', 'skipped')
