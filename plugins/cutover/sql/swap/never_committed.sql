-- Makes this transaction one that PostgreSQL refuses to commit, or to prepare: at its end a table that is to be emptied
-- has a foreign key on it of one that is not. No setting changes that, and SET CONSTRAINTS does not reach it.
create temporary table cutover_never_committed (id integer primary key) on commit delete rows;
create temporary table cutover_refers_to_it (id integer references cutover_never_committed (id))
