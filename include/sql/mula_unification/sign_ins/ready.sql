-- Why sign-ins of this launch cannot be rehearsed yet; null if they can.
select platform.why_no_rehearsal(%(run)s) as why
