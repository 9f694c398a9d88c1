-- Takes an account out of a person; null when it is not that person's any more.
select platform.unmerge(%(user_id)s, %(identity_id)s) as parted;
