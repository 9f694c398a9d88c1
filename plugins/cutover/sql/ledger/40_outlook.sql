-- What stood in the way of a launch while its question waited: one row each time that this changed.
create table if not exists cutover.outlook (
    outlook_id bigint generated always as identity primary key,
    run text not null,
    -- of the errors that the swap would end with; none: nothing stands in its way
    codes text[] not null,
    seen_at timestamptz not null default clock_timestamp()
);
create index if not exists outlook_run on cutover.outlook (run);
