-- What people say about a run, beside the answer to its question: it stays with the launch, whatever Airflow cleans
-- away.
create table if not exists cutover.comment (
    comment_id bigint generated always as identity primary key,
    run text not null references cutover.run (run),
    author text not null,
    words text not null,
    written_at timestamptz not null default clock_timestamp()
);
create index if not exists comment_by_run on cutover.comment (run, comment_id);
