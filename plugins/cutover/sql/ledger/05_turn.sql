-- Whose turn it is. A row that is locked is a turn that is taken, until its transaction ends: only roles that may
-- update this table can take one, and none but the engine's may. An advisory lock could be held by anybody.
create table if not exists cutover.turn (
    name text primary key
);
insert into cutover.turn (name) values ('install'), ('swap'), ('rehearse') on conflict do nothing;
