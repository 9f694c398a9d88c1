"""What is written down, and that it is as it was written: runs, approvals, the ledger, the chain, evidence."""

# What a rollback takes back: the newest entry, which of a rollback is its own effect, or the newest launch that has not
# been taken back yet, past rollbacks. The same where the newest entry is no rollback.
NEWEST_ENTRY, NEWEST_LAUNCH = "newest entry", "newest launch"
# Before the name of a table of a backup: what it was, whole, before a column was dropped there as in production.
WHOLE = "whole_"
