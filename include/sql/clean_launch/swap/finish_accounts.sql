-- A launch that was taken back leaves no account behind that nobody has used.
select cutover.take_back_accounts(%(run)s) as accounts_taken_back
