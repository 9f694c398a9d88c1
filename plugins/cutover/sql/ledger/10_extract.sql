-- What extraction keeps: every sync with its windows and pages, and where each source stands.
-- docs/extract.md explains each column to the person who reads them at four in the morning.
create schema if not exists raw;
revoke all on schema raw from public;

-- One row per sync of one source. An unfinished one (state `running`) is taken up again where it stopped.
create table if not exists cutover.sync (
    sync_id bigint generated always as identity primary key,
    source text not null,
    mode text not null check (mode in ('full', 'incremental')),
    -- running: under way, or killed; failed: ended with `error_code`, and goes on when it is started again;
    -- abandoned: replaced by a sync that reads more, or whose declaration, API or account was another
    state text not null default 'running' check (state in ('running', 'complete', 'failed', 'abandoned')),
    -- why this mode was taken
    because text not null,
    api text not null,
    -- one-way, so that another account's key is noticed; not the key
    account text not null,
    declaration text not null,
    -- the frozen upper bound of this sync; the watermark once every window is stored
    until timestamptz not null,
    -- how far the API's clock was behind this machine's when the sync began, in seconds
    clock_ahead double precision,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    resumed integer not null default 0,
    pages integer not null default 0,
    rows bigint not null default 0,
    -- rows that another page or window of the same sync showed too
    repeated bigint not null default 0,
    new bigint not null default 0,
    changed bigint not null default 0,
    returned bigint not null default 0,
    unchanged bigint not null default 0,
    gone bigint not null default 0,
    rejected bigint not null default 0,
    adjusted bigint not null default 0,
    requests bigint not null default 0,
    retries bigint not null default 0,
    received_bytes bigint not null default 0,
    -- {"rate limit": 12.5, "429": 3.0, "timeout": 1.2}: seconds waited, by reason
    waited jsonb not null default '{}',
    first_id text,
    last_id text,
    -- what the API would not give, in words: an ignored cursor, a refused page size, a vanished row
    not_given jsonb not null default '[]',
    -- rows in the raw table that are not gone, when this sync had ended
    total bigint,
    error_code text,
    error text
);
create index if not exists sync_by_source on cutover.sync (source, sync_id);
-- Two unfinished syncs of one source would overtake each other's cursor.
create unique index if not exists sync_one_unfinished on cutover.sync (source) where state in ('running', 'failed');

-- The parts of a sync: each is crawled from its first page to the end that the API itself declares.
create table if not exists cutover.sync_window (
    sync_id bigint not null references cutover.sync,
    window_no integer not null,
    name text not null,
    -- the query parameters that bound it
    params jsonb not null,
    state text not null default 'open' check (state in ('open', 'complete')),
    -- where the crawl stands (cursor, its parameter's name), stored in the transaction that stores the page
    position jsonb not null default '{}',
    pages integer not null default 0,
    rows bigint not null default 0,
    primary key (sync_id, window_no)
);

-- The responses that raw rows came from. When a sync has ended, pages that brought nothing new are removed.
create table if not exists cutover.sync_page (
    sync_id bigint not null references cutover.sync,
    page_no integer not null,
    window_no integer not null,
    -- 1, and one more for each time that the window had to be crawled again from its top
    attempt integer not null,
    -- path and query, without any secret: those travel in headers
    request text not null,
    fetched_at timestamptz not null,
    received_bytes integer not null,
    rows integer not null,
    -- of these rows: stored as new, changed or returned, or not storable; the others raw had already
    new integer not null,
    changed integer not null,
    returned integer not null,
    rejected integer not null,
    adjusted integer not null,
    first_id text,
    last_id text,
    -- every id of the page, until the sync has ended: the guards and the search for rows that are gone need them
    ids text[],
    primary key (sync_id, page_no)
);

-- Where each source stands after its last complete sync.
create table if not exists cutover.sync_state (
    source text primary key,
    api text not null,
    account text not null,
    declaration text not null,
    watermark timestamptz not null,
    -- the parameter that the API turned out to honour as cursor
    cursor_name text,
    -- the part of the history that the next incremental sync reads again
    sweep integer not null default 0,
    -- rows in the raw table, gone ones included: another number means that someone else changed the table
    stored bigint not null,
    last_sync bigint not null references cutover.sync,
    last_full_sync bigint not null references cutover.sync
);

-- Which syncs the frozen copy of a run comes from, for each source: its reconciliation shows how they went.
create table if not exists cutover.reading (
    run text not null,
    source text not null,
    -- the last full read, and the last sync after it if there was one
    full_sync_id bigint not null references cutover.sync,
    sync_id bigint not null references cutover.sync,
    primary key (run, source)
);

-- Rows that were kept although PostgreSQL refuses a part of them: what was changed, and the bytes as received.
create table if not exists cutover.sync_adjustment (
    adjustment_id bigint generated always as identity primary key,
    sync_id bigint not null references cutover.sync,
    page_no integer not null,
    source text not null,
    source_id text not null,
    change text not null,
    received bytea not null,
    adjusted_at timestamptz not null default clock_timestamp()
);
create index if not exists sync_adjustment_by_row on cutover.sync_adjustment (source, source_id);

-- The names in a list, however the API writes it: an array of objects or of texts, an object of either (which is what
-- PHP makes of an array with gaps), null, or nothing at all. Anything else is refused: an empty list would be a guess.
create or replace function cutover.names(list jsonb, what text) returns text[]
language plpgsql immutable parallel safe set search_path = pg_catalog as $$
declare
    item jsonb;
    found text[] := '{}';
begin
    if list is null or jsonb_typeof(list) = 'null' then
        return found;
    elsif jsonb_typeof(list) not in ('array', 'object') then
        raise exception '% is neither a list nor an object', what using errcode = 'invalid_parameter_value';
    end if;
    for item in
        select jsonb_path_query(list, case jsonb_typeof(list) when 'array' then '$[*]' else '$.*' end::jsonpath)
    loop
        if jsonb_typeof(item) = 'string' then
            found := found || (item #>> '{}');
        elsif jsonb_typeof(item) = 'object' then
            found := found || array_remove(array[item ->> 'name'], null);
        else
            raise exception '% holds something else than names', what using errcode = 'invalid_parameter_value';
        end if;
    end loop;
    return array(select u.name from unnest(found) as u (name) order by u.name collate "C");
end $$;

-- The value of one of a contact's fields, however the API writes them: objects with `slug` and `value` in an array or
-- in an object, or an object of values by slug.
create or replace function cutover.field_value(fields jsonb, slug text) returns text
language plpgsql immutable parallel safe set search_path = pg_catalog as $$
declare
    item record;
begin
    if fields is null or jsonb_typeof(fields) = 'null' then
        return null;
    elsif jsonb_typeof(fields) = 'array' then
        for item in select f.value from jsonb_array_elements(fields) as f (value) loop
            if jsonb_typeof(item.value) <> 'object' then
                raise exception 'fields holds something else than fields' using errcode = 'invalid_parameter_value';
            elsif item.value ->> 'slug' = field_value.slug then
                return item.value ->> 'value';
            end if;
        end loop;
        return null;
    elsif jsonb_typeof(fields) <> 'object' then
        raise exception 'fields is neither a list nor an object' using errcode = 'invalid_parameter_value';
    end if;
    for item in select f.key, f.value from jsonb_each(fields) as f loop
        if jsonb_typeof(item.value) = 'object' and coalesce(item.value ->> 'slug', item.key) = field_value.slug then
            return item.value ->> 'value';
        elsif jsonb_typeof(item.value) <> 'object' and item.key = field_value.slug then
            return item.value #>> '{}';
        end if;
    end loop;
    return null;
end $$;

-- A response whose lists `members` are sorted: what is compared when their order says nothing.
create or replace function cutover.with_sorted(response jsonb, variadic members text[]) returns jsonb
language sql immutable parallel safe
return response || coalesce((
    select
        jsonb_object_agg(member, (
            select jsonb_agg(item order by item)
            from jsonb_array_elements(response -> member) as list (item)
        ))
    from unnest(members) as wanted (member)
    where jsonb_typeof(response -> member) = 'array'
), '{}');
