-- The newest write of the unified application to each row that it has changed or deleted. Every repeat must know it;
-- the captured writes themselves go when the backup of the table they were made to is dropped.
create table if not exists cutover.unified_change (
    table_name text not null,
    id uuid not null,
    change_id bigint not null,
    is_deleted boolean not null,
    primary key (table_name, id)
);
