-- How many accounts a rehearsal is about, by the migration's own query for them.
select count(*) from ({accounts}) as account
