-- A key that somebody else may have: every token that it has signed is void at once.
delete from platform.signing_key
where kid = %(kid)s
returning kid;
