"""What is written down, and that it is as it was written: runs, approvals, the ledger, the chain, evidence."""
