-- Creating a trigger waits for everyone who is writing to the table, and nobody can begin to until it is committed:
-- that is the drain. No session is ended.
create or replace trigger cutover_fence before insert or update or delete or truncate on {table}
for each statement execute function cutover_fence.refuse();

alter table {table} enable always trigger cutover_fence
