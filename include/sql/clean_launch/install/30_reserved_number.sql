-- Receipt and enrolment numbers of rows that production does not have yet. They are drawn from production's own
-- sequences, so that a sale made during the run cannot get the same one, and kept here by row, so that every try
-- and every later run stages the same number for the same row.
create table if not exists cutover.reserved_number (
    table_name text not null,
    row_id uuid not null,
    number bigint not null,
    primary key (table_name, row_id)
);
