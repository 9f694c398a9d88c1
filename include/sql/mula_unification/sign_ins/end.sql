-- Ends it: keys and sessions of the rehearsal are gone.
select platform.end_rehearsal(%(run)s) as sessions
