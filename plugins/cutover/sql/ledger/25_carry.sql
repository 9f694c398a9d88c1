-- Reading images back, and applying them.
alter table cutover.quarantine
add column if not exists old_image text,
add column if not exists new_image text;

-- A type of so many text columns, into which an image is taken apart by PostgreSQL's own input function of row types.
create or replace function cutover.make_fields(width integer) returns oid
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    name constant text := format('cutover.fields_%s', width);
begin
    if to_regtype(name) is null then
        begin
            execute format(
                'create type %s as (%s)', name, (select string_agg(format('c%s text', i), ', ') from generate_series(1, width) as i)
            );
        exception
            when duplicate_object or unique_violation then
                null;
        end;
    end if;
    return to_regtype(name)::oid;
end $$;
revoke all on function cutover.make_fields(integer) from public;

-- How many columns an image has: one more than the commas outside quotes.
create or replace function cutover.image_width(image text) returns integer
language sql immutable strict set search_path = pg_catalog, pg_temp as $$
    select length(translate(plain.text, translate(plain.text, ',', ''), '')) + 1
    from (select regexp_replace(image, '"([^"]|"")*"', '', 'g') as text) as plain
$$;
revoke all on function cutover.image_width(text) from public;

-- Whether the transaction that wrote a row of the catalogue is seen by a snapshot of our time: 32 bits of its number
-- are kept there.
create or replace function cutover.is_seen(writer xid, since pg_snapshot) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
    select case
        when writer::text::bigint <= 2 or full_xid < 0 then true
        else pg_catalog.pg_visible_in_snapshot(full_xid::text::xid8, since)
    end
    from (
        select
            writer::text::numeric
            + 4294967296 * (div(clock.next, 4294967296) - (writer::text::numeric > mod(clock.next, 4294967296))::integer)
            as full_xid
        from (select pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::numeric as next) as clock
    ) as number
$$;
revoke all on function cutover.is_seen(xid, pg_snapshot) from public;
-- The names of the columns of an image, null for one dropped since; null altogether if that cannot be told.
-- Of the columns that the table had ever had when it was written, those are missing that had been dropped by then: all
-- that were dropped before `since`, and of the others all or none. (Some of them: which ones is not known for certain.)
create or replace function cutover.image_names(relation oid, attributes integer, width integer, since pg_snapshot)
returns text[]
language sql stable set search_path = pg_catalog, pg_temp as $$
    with attribute as (
        select
            a.attnum,
            a.attname::text as name,
            a.attisdropped as is_dropped,
            a.attisdropped and (since is null or cutover.is_seen(a.xmin, since)) as is_long_gone
        from pg_catalog.pg_attribute as a
        where a.attrelid = relation and a.attnum between 1 and attributes
    ),

    counted as (
        select
            count(*) as total,
            count(*) filter (where not a.is_dropped) as remaining,
            count(*) filter (where not a.is_long_gone) as present
        from attribute as a
    )

    select array_agg(case when not a.is_dropped then a.name end order by a.attnum)
    from attribute as a
    cross join counted as c
    where c.total = attributes
        and (
            (width = c.remaining and not a.is_dropped)
            or (width = c.present and width <> c.remaining and not a.is_long_gone)
            or (since is null and width = c.total and width <> c.remaining)
        )
$$;

revoke all on function cutover.image_names(oid, integer, integer, pg_snapshot) from public;

-- The columns of an image, each as its text.
create or replace function cutover.fields(image text, width integer) returns text[]
language plpgsql stable strict set search_path = pg_catalog, pg_temp as $$
declare
    found text[];
begin
    execute format(
        'select array[%s] from pg_catalog.record_in(pg_catalog.textout($1), %s::oid, -1) as f (%s)',
        (select string_agg(format('f.c%s', i), ', ') from generate_series(1, width) as i),
        to_regtype(format('cutover.fields_%s', width))::oid,
        (select string_agg(format('c%s text', i), ', ') from generate_series(1, width) as i)
    ) into found using image;
    return found;
end $$;
revoke all on function cutover.fields(text, integer) from public;

-- An image with other columns, in another order: for each column its place in the image, or null.
create or replace function cutover.rearranged(image text, width integer, places integer[]) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    found text;
begin
    if image is null then
        return null;
    end if;
    execute format(
        'select pg_catalog.concat(row(%s)) from (select cutover.fields($1, $2) as f) as i',
        (
            select string_agg(case when p.place is null then 'null::text' else format('i.f[%s]', p.place) end, ', ' order by p.position)
            from unnest(places) with ordinality as p (place, position)
        )
    ) into found using image, width;
    return found;
end $$;
revoke all on function cutover.rearranged(text, integer, integer[]) from public;

-- An image as people read it; null if its columns are not known, or it is too long for jsonb.
create or replace function cutover.readable(image text, names text[]) returns jsonb
language plpgsql stable strict set search_path = pg_catalog, pg_temp as $$
declare
    width constant integer := cardinality(names);
begin
    return (
        select jsonb_object_agg(n.name, f.field)
        from unnest(names, cutover.fields(image, width)) as f (name, field)
        join unnest(names) as n (name) on n.name = f.name
    );
exception
    when others then
        return null;
end $$;
revoke all on function cutover.readable(text, text[]) from public;

drop function if exists cutover.apply(text, text, text[], text[], text, jsonb[], jsonb[]);
drop function if exists cutover.carry(text, oid[], oid[], pg_snapshot, pg_snapshot, xid8);
drop function if exists cutover.carry(text, oid[], oid[], pg_snapshot, pg_snapshot, xid8, boolean);

-- Applies captured writes of one operation to a table, all of them or none, and says why if that is not possible.
-- `pair` is the table as carry() has prepared it; `columns` are those that updates set, or inserts give; `affected` is
-- 0 for a delete of a row that is not there. The operation `same` counts rows that are there already.
create or replace function cutover.apply(
    pair jsonb, columns text[], operation text, old_images text[], new_images text[],
    out affected bigint, out state text, out message text
) language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    statement text;
    listed text;
begin
    affected := 0;
    if operation = 'insert' then
        statement := format(
            'insert into %1$s (%2$s) overriding system value select %3$s from unnest($2) as w (image), '
            'pg_catalog.record_in(pg_catalog.textout(w.image), %4$s::oid, -1) as n (%5$s)',
            pair ->> 'target',
            (select string_agg(format('%I', c), ', ') from unnest(columns) as u (c)),
            (select string_agg(format('n.%I', c), ', ') from unnest(columns) as u (c)),
            pair ->> 'type', pair ->> 'definition'
        );
    elsif operation = 'delete' then
        statement := format(
            'delete from %1$s as t using unnest($1) as w (image), '
            'pg_catalog.record_in(pg_catalog.textout(w.image), %2$s::oid, -1) as k (%3$s) where %4$s',
            pair ->> 'target', pair ->> 'type', pair ->> 'definition', pair ->> 'key_condition'
        );
    elsif operation = 'update' then
        select string_agg(format('%1$I = n.%1$I', c), ', ') into listed from unnest(columns) as u (c);
        if listed is null then
            affected := cardinality(new_images);
            return;
        end if;
        statement := format(
            'update %1$s as t set %2$s from unnest($1, $2) as w (old_image, new_image), '
            'pg_catalog.record_in(pg_catalog.textout(w.new_image), %3$s::oid, -1) as n (%4$s), '
            'pg_catalog.record_in(pg_catalog.textout(w.old_image), %3$s::oid, -1) as k (%4$s) where %5$s',
            pair ->> 'target', listed, pair ->> 'type', pair ->> 'definition', pair ->> 'key_condition'
        );
    elsif operation = 'same' then
        -- rows that are there as they are in the images; writes nothing
        statement := format(
            'select from %1$s as t, unnest($2) as w (image), '
            'pg_catalog.record_in(pg_catalog.textout(w.image), %2$s::oid, -1) as k (%3$s) '
            'where %4$s and pg_catalog.concat(row(%5$s)) = pg_catalog.concat(row(%6$s))',
            pair ->> 'target', pair ->> 'type', pair ->> 'definition', pair ->> 'key_condition',
            (select string_agg(format('t.%I', c), ', ') from unnest(columns) as u (c)),
            (select string_agg(format('k.%I', c), ', ') from unnest(columns) as u (c))
        );
    else
        state := '0A000';
        message := 'TRUNCATE cannot be carried: it names no rows';
        return;
    end if;
    if pair ->> 'runner' is null then
        execute statement using old_images, new_images;
        get diagnostics affected = row_count;
    else
        execute format('select %s($1, $2, $3)', pair ->> 'runner') into affected using statement, old_images, new_images;
    end if;
    if operation = 'update' and affected < cardinality(new_images) then
        raise exception 'the row that it changed is not in the incoming table' using errcode = '02000';
    end if;
exception
    -- an update of an identity that is always generated: carry() makes ready for that only when there is one
    when generated_always then
        raise;
    when others then
        affected := 0;
        get stacked diagnostics state = returned_sqlstate, message = message_text;
end $$;
revoke all on function cutover.apply(jsonb, text[], text, text[], text[]) from public;

-- The same for one captured write. `shape` is null if its image cannot be read.
create or replace function cutover.apply_one(
    pair jsonb, shape jsonb, change cutover.changelog, out affected bigint, out state text, out message text
) language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    names constant text[] := array(select e.value from jsonb_array_elements_text(shape -> 'names') as e);
    columns constant text[] := array(select e.value from jsonb_array_elements_text(pair -> 'columns') as e);
    width constant integer := cardinality(names);
    places integer[];
    chosen text[];
    done record;
begin
    affected := 0;
    if change.operation <> 'truncate' and coalesce(change.old_image, change.new_image) is null then
        state := '54000';
        message := 'the row is longer than text can be, and was recorded without its values';
        return;
    elsif change.operation <> 'truncate' and shape is null then
        state := '22023';
        message := 'columns were added and dropped meanwhile, and which of them its values belong to cannot be told';
        return;
    end if;
    if change.operation = 'update' then
        chosen := array(
            select o.name
            from unnest(names, cutover.fields(change.old_image, width), cutover.fields(change.new_image, width))
                as o (name, before, after)
            where o.before is distinct from o.after and o.name = any(columns)
        );
    else
        chosen := array(select c.name from unnest(columns) as c (name) where c.name = any(names));
    end if;
    if shape -> 'places' <> 'null'::jsonb then
        places := array(select e.value::integer from jsonb_array_elements_text(shape -> 'places') as e);
        change.old_image := cutover.rearranged(change.old_image, width, places);
        change.new_image := cutover.rearranged(change.new_image, width, places);
    end if;
    done := cutover.apply(pair, chosen, change.operation, array[change.old_image], array[change.new_image]);
    if change.operation = 'insert' and done.state = '23505' then
        -- put back from there (a restoration of some people): the very row is there already
        if (cutover.apply(pair, chosen, 'same', array[change.new_image], array[change.new_image])).affected = 1 then
            return;
        end if;
    end if;
    affected := done.affected;
    state := done.state;
    message := done.message;
end $$;
revoke all on function cutover.apply_one(jsonb, jsonb, cutover.changelog) from public;

create or replace function cutover.set_aside(
    this_run text, pair jsonb, shape jsonb, change cutover.changelog, state text, message text
) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    names constant text[] := array(select e.value from jsonb_array_elements_text(shape -> 'names') as e);
begin
    insert into cutover.quarantine (
        run, change_id, schema_name, table_name, operation, key, old_row, new_row, old_image, new_image, sqlstate, reason
    )
    values (
        this_run, change.change_id, pair ->> 'schema_name', pair ->> 'table_name', change.operation, null,
        coalesce(change.old_row, cutover.readable(change.old_image, names)),
        coalesce(change.new_row, cutover.readable(change.new_image, names)),
        change.old_image, change.new_image, state, message
    );
end $$;
revoke all on function cutover.set_aside(text, jsonb, jsonb, cutover.changelog, text, text) from public;

-- The equality that an index goes by in each of its columns, in their order: by schema and name (attnum 0: an
-- expression). A type of an extension's, or of the application's, has its own, which no search_path of ours leads to;
-- and its `=` may be that of text to whoever does not see it (citext).
create or replace function cutover.equalities(index oid)
returns table (place bigint, attnum smallint, operator text)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select
        p.place,
        p.attnum,
        format('operator(%I.%s)', coalesce(s.nspname, 'pg_catalog'), coalesce(o.oprname, '='))
    from pg_catalog.pg_index as x
    cross join lateral unnest(x.indkey::smallint[], x.indclass::oid[]) with ordinality as p (attnum, opclass, place)
    join pg_catalog.pg_opclass as q on q.oid = p.opclass
    -- 403: btree; what lies in another kind of index (a key without overlaps) has the engine's own equality
    left join pg_catalog.pg_amop as m
        on m.amopfamily = q.opcfamily and m.amopmethod = 403 and m.amopstrategy = 3
            and m.amoplefttype = q.opcintype and m.amoprighttype = q.opcintype
    left join pg_catalog.pg_operator as o on o.oid = m.amopopr
    left join pg_catalog.pg_namespace as s on s.oid = o.oprnamespace
    where x.indexrelid = equalities.index and p.place <= x.indnkeyatts
$$;
revoke all on function cutover.equalities(oid) from public;

-- How a row of a table is matched with one of `other` by the table's primary key. `one_side` and `other_side` are
-- formats that a column's name is put into. A column of another type there is compared as the engine itself
-- compares the two.
create or replace function cutover.key_condition(relation oid, other oid, one_side text, other_side text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
    select string_agg(
        format(one_side, a.attname)
        || case when b.atttypid = a.atttypid then format(' %s ', e.operator) else ' operator(pg_catalog.=) ' end
        || format(other_side, a.attname),
        ' and ' order by e.place
    )
    from pg_catalog.pg_index as x
    cross join lateral cutover.equalities(x.indexrelid) as e
    join pg_catalog.pg_attribute as a on a.attrelid = x.indrelid and a.attnum = e.attnum
    left join pg_catalog.pg_attribute as b on b.attrelid = other and b.attname = a.attname and not b.attisdropped
    where x.indrelid = relation and x.indisprimary
$$;
revoke all on function cutover.key_condition(oid, oid, text, text) from public;

-- Everything about a pair of tables that carrying needs, as JSON.
create or replace function cutover.pair(outgoing oid, incoming oid, since pg_snapshot, except_xid xid8) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
    with recursive part as (
        select a.atttypid as type
        from pg_catalog.pg_attribute as a
        where a.attrelid = incoming and a.attnum > 0 and not a.attisdropped
        union
        select u.type
        from part as p
        join pg_catalog.pg_type as t on t.oid = p.type
        cross join lateral (
            select t.typelem
            union all
            select t.typbasetype
            union all
            select r.rngsubtype from pg_catalog.pg_range as r where t.oid in (r.rngtypid, r.rngmultitypid)
            union all
            select a.atttypid
            from pg_catalog.pg_attribute as a
            where a.attrelid = t.typrelid and t.typrelid <> 0 and a.attnum > 0 and not a.attisdropped
        ) as u (type)
        where u.type <> 0
    )

    select jsonb_build_object(
        'outgoing', pair.outgoing,
        'incoming', pair.incoming,
        'target', format('%I.%I', n.nspname, c.relname),
        'schema_name', n.nspname,
        'table_name', c.relname,
        'owner', quote_ident(pg_catalog.pg_get_userbyid(c.relowner)),
        'type', c.reltype,
        'forces', c.relforcerowsecurity,
        'keyed', cutover.keyed_columns(c.oid),
        'names', (
            select jsonb_agg(a.attname order by a.attnum)
            from pg_catalog.pg_attribute as a
            where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        ),
        'definition', (
            select string_agg(
                format('%I %s', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod))
                || case
                    when a.attcollation <> 0 and a.attcollation <> t.typcollation
                        then (
                            select format(' collate %I.%I', m.nspname, l.collname)
                            from pg_catalog.pg_collation as l
                            join pg_catalog.pg_namespace as m on m.oid = l.collnamespace
                            where l.oid = a.attcollation
                        )
                    else ''
                end,
                ', ' order by a.attnum
            )
            from pg_catalog.pg_attribute as a
            join pg_catalog.pg_type as t on t.oid = a.atttypid
            where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        ),
        'has_gaps', exists (
            select from pg_catalog.pg_attribute as a where a.attrelid = c.oid and a.attnum > 0 and a.attisdropped
        ),
        'columns', (
            select jsonb_agg(a.attname order by a.attnum)
            from pg_catalog.pg_attribute as a
            where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
        ),
        'always', (
            select jsonb_agg(a.attname order by a.attnum)
            from pg_catalog.pg_attribute as a
            where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attidentity = 'a'
        ),
        'key_columns', (
            select jsonb_agg(a.attname order by a.attnum)
            from pg_catalog.pg_constraint as k
            join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = any(k.conkey)
            where k.conrelid = c.oid and k.contype = 'p'
        ),
        'key_condition', cutover.key_condition(c.oid, c.oid, 't.%I', 'k.%I'),
        -- whether writing a row evaluates what is the application's: functions and operators in checks, generated
        -- columns, defaults and indexes, or the checks of a domain, wherever in a column's type it is
        'is_owners', exists (
            select from pg_catalog.pg_depend as d
            where d.refclassid in ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass)
                and (
                    (d.classid = 'pg_catalog.pg_constraint'::regclass
                        and d.objid = any(array(select k.oid from pg_catalog.pg_constraint as k where k.conrelid = c.oid)))
                    or (d.classid = 'pg_catalog.pg_attrdef'::regclass
                        and d.objid = any(array(select f.oid from pg_catalog.pg_attrdef as f where f.adrelid = c.oid)))
                    or (d.classid = 'pg_catalog.pg_class'::regclass
                        and d.objid = any(array(select x.indexrelid from pg_catalog.pg_index as x where x.indrelid = c.oid)))
                )
        ) or exists (select from part as p join pg_catalog.pg_constraint as k on k.contypid = p.type and k.contype = 'c'),
        'live', (
            select jsonb_agg(a.attname order by a.attnum)
            from pg_catalog.pg_attribute as a
            where a.attrelid = pair.outgoing and a.attnum > 0 and not a.attisdropped
        ),
        -- a column was added, dropped or altered meanwhile
        'is_altered', exists (
            select from pg_catalog.pg_attribute as a
            where a.attrelid = pair.outgoing and a.attnum > 0 and not cutover.is_seen(a.xmin, since)
                and a.xmin::text::numeric is distinct from mod(except_xid::text::numeric, 4294967296)
        )
    )
    from (select outgoing, incoming) as pair
    join pg_catalog.pg_class as c on c.oid = pair.incoming
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
$$;
revoke all on function cutover.pair(oid, oid, pg_snapshot, xid8) from public;

-- What an earlier version recorded as JSON becomes an image of the table as it is. The owner's function does it, since
-- domains have checks. What it refuses stays as it is, and goes to the quarantine.
create or replace function cutover.read_earlier(
    pair jsonb, since pg_snapshot, until pg_snapshot, except_xid xid8
) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    found constant bigint[] := array(
        select l.change_id
        from cutover.changelog as l
        where l.relid = (pair ->> 'outgoing')::oid
            and (
                l.xid >= pg_catalog.pg_snapshot_xmax(since)
                or l.xid = any(array(select pg_catalog.pg_snapshot_xip(since)))
            )
            and pg_catalog.pg_visible_in_snapshot(l.xid, until) and l.xid is distinct from except_xid
            and coalesce(l.new_image, l.old_image) is null and coalesce(l.new_row, l.old_row) is not null
    );
    relation constant text := (pair ->> 'outgoing')::oid::regclass::text;
    reader constant text := format('%I.%I', pair ->> 'schema_name', 'cutover_read_' || (pair ->> 'incoming'));
    one bigint;
begin
    if cardinality(found) = 0 then
        return;
    end if;
    execute format(
        'create function %s(written jsonb) returns text language plpgsql security definer set search_path = pg_catalog, pg_temp '
        'set timezone = ''UTC'' set datestyle = ''ISO, YMD'' set intervalstyle = ''postgres'' as %L; '
        'alter function %1$s owner to %3$s',
        reader,
        format('begin return pg_catalog.concat(pg_catalog.jsonb_populate_record(null::%s, written)); end', relation),
        pair ->> 'owner'
    );
    foreach one in array found loop
        begin
            execute format(
                'update cutover.changelog as l set attributes = (select c.relnatts from pg_catalog.pg_class as c where c.oid = l.relid), '
                'old_image = case when l.old_row is not null then %1$s(l.old_row) end, '
                'new_image = case when l.new_row is not null then %1$s(l.new_row) end where l.change_id = $1', reader
            ) using one;
        exception
            when others then
                null;
        end;
    end loop;
    execute format('drop function %s(jsonb)', reader);
end $$;
revoke all on function cutover.read_earlier(jsonb, pg_snapshot, pg_snapshot, xid8) from public;

-- Applies captured writes of the outgoing tables to the incoming ones: those not seen by `since` and seen by
-- `until`. An insert carries the row, an update only the columns that it changed, a delete the key. What cannot be
-- applied goes whole to the quarantine with its SQLSTATE; a delete of a row that is not there has nothing to do.
--
-- Clients wait for the last of this, and write on during the rest: it must be quicker than they are. So
-- * updates of one row that touch no keyed column are one: the last wins. (A counter that went up a hundred thousand
--   times would else leave as many versions of its row, and every next update reads all of them.) And when nothing
--   else happened to that row, it does not matter when that is done: all such rows are one statement, before the rest;
-- * inserts into one table with nothing in between are one statement;
-- * everything else is done one by one, in the order in which it was written.
-- A statement that fails is done again write by write, so that the quarantine has only what cannot be applied.
--
-- A deferrable constraint may be broken in between, as the application may break it, and is looked at in the end. If it
-- is broken then, this raises. Called again with `careful`, it goes transaction by transaction of the clients, in the
-- order in which they ended: each leaves no constraint broken, or the writes that do are found one by one.
--
-- `prepared` is what cutover.pair() says of the tables, by oid of the outgoing one, where it was asked before: clients
-- do not wait for it then.
--
-- What an incoming table evaluates of the application's code is run in a function that belongs to the table's owner,
-- made for this and gone before anybody sees it. (SET ROLE would be no boundary: what runs may reset it.)
create or replace function cutover.carry(
    this_run text, outgoing oid[], incoming oid[], since pg_snapshot, until pg_snapshot, except_xid xid8,
    careful boolean, prepared jsonb default null
) returns table (table_name text, operation text, carried bigint, already_gone bigint, quarantined bigint)
-- The statistics of the changelog are never of this moment; it is read by key, however many writes it holds.
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off
set timezone = 'UTC' set datestyle = 'ISO, YMD' set intervalstyle = 'postgres' set lc_monetary = 'C'
set xmloption = 'content' set bytea_output = 'hex' set extra_float_digits = 3 as $$
declare
    -- writes that are done one by one because that is quicker than planning how to do them together (1 ms each, 4 ms)
    few constant integer := 4;
    -- rows, and bytes (compressed), that one statement may write: their images are in memory
    rows_at_once constant integer := 1000;
    bytes_at_once constant integer := 16 * 1024 * 1024;
    -- What $1 does not see, by what it did not see: its xmin is this very transaction, and from there on would be
    -- everything since it began, read again in every round.
    window_of constant text :=
        '(l.xid >= pg_catalog.pg_snapshot_xmax($1) or l.xid = any(array(select pg_catalog.pg_snapshot_xip($1)))) '
        'and pg_catalog.pg_visible_in_snapshot(l.xid, $2) and l.xid is distinct from $3 '
        'and l.xid <> pg_catalog.pg_current_xact_id()';
    -- by oid of the outgoing table
    pairs jsonb := '{}';
    pair jsonb;
    -- by number: how the columns of an image are called, and where they go
    shapes jsonb := '[]';
    shape jsonb;
    branches text[] := '{}';
    form record;
    names text[];
    width integer;
    step record;
    unit record;
    gathered record;
    change cutover.changelog;
    done record;
    -- counts by "relid operation outcome". No temporary table: making one inside the lock costs clients milliseconds.
    tally jsonb := '{}';
    outcome text;
    outcomes jsonb;
    together boolean;
    waiting bigint[];
    still bigint[];
    one bigint;
    reasons jsonb;
    left_out bigint;
    -- oid of an outgoing table → how many of its writes are to be carried, and whether one has no image
    counted jsonb;
    total bigint;
    -- so few are to be carried that they are read as they are, and done one by one
    is_short boolean;
    earlier boolean;
begin
    -- one question about all tables, whose plan the session keeps: clients wait for the last call, which mostly has nothing
    -- to do for most of them
    select coalesce(jsonb_object_agg(w.relid, jsonb_build_array(w.writes, w.has_earlier)), '{}') into counted
    from (
        select
            l.relid,
            count(*) as writes,
            bool_or(coalesce(l.new_image, l.old_image) is null) as has_earlier
        from cutover.changelog as l
        where l.relid = any(carry.outgoing)
            -- as window_of
            and (
                l.xid >= pg_catalog.pg_snapshot_xmax(carry.since)
                or l.xid = any(array(select pg_catalog.pg_snapshot_xip(carry.since)))
            )
            and pg_catalog.pg_visible_in_snapshot(l.xid, carry.until)
            and l.xid is distinct from carry.except_xid
            and l.xid <> pg_catalog.pg_current_xact_id()
        group by l.relid
    ) as w;
    total := coalesce((select sum((w.value ->> 0)::bigint) from jsonb_each(counted) as w), 0);
    is_short := not careful and total <= few;
    for position in 1..cardinality(carry.outgoing) loop
        continue when not counted ? carry.outgoing[position]::text;
        earlier := (counted -> carry.outgoing[position]::text ->> 1)::boolean;
        pair := coalesce(
            prepared -> carry.outgoing[position]::text,
            cutover.pair(carry.outgoing[position], carry.incoming[position], since, except_xid)
        );
        if careful and pair -> 'always' <> 'null'::jsonb then
            for outcome in select e.value from jsonb_array_elements_text(pair -> 'always') as e loop
                execute format('alter table %s alter column %I set generated by default', pair ->> 'target', outcome);
            end loop;
        end if;
        if (pair ->> 'has_gaps')::boolean then
            -- record_in() leaves room for columns that were dropped; a row to be taken apart may have none
            outcome := format('cutover.incoming_%s', pair ->> 'incoming');
            execute format('create type %s as (%s)', outcome, pair ->> 'definition');
            pair := pair || jsonb_build_object('own_type', outcome, 'type', to_regtype(outcome)::oid);
        end if;
        if (pair ->> 'is_owners')::boolean then
            -- row-level security that binds the owner, too, would hide rows from it
            if (pair ->> 'forces')::boolean then
                execute format('alter table %s no force row level security', pair ->> 'target');
            end if;
            outcome := format('%I.%I', pair ->> 'schema_name', 'cutover_apply_' || (pair ->> 'incoming'));
            execute format(
                'create function %s(statement text, old_images text[], new_images text[]) returns bigint '
                'language plpgsql security definer set search_path = pg_catalog, pg_temp as %L; alter function %1$s owner to %3$s',
                outcome,
                'declare affected bigint; begin execute statement using old_images, new_images; '
                'get diagnostics affected = row_count; return affected; end',
                pair ->> 'owner'
            );
            pair := pair || jsonb_build_object('runner', outcome);
        end if;
        pairs := pairs || jsonb_build_object(pair ->> 'outgoing', pair);
        if earlier then
            perform cutover.read_earlier(pair, since, until, except_xid);
        end if;
        for form in execute
            case
                when (pair ->> 'is_altered')::boolean
                    then format(
                        'select distinct l.attributes::integer as attributes, '
                        'cutover.image_width(coalesce(l.new_image, l.old_image)) as width '
                        'from cutover.changelog as l where l.relid = %s and %s', pair ->> 'outgoing', window_of
                    )
                else format('select null::integer as attributes, %s as width', jsonb_array_length(pair -> 'live'))
            end
            using since, until, except_xid
        loop
            width := form.width;
            names := case
                when not (pair ->> 'is_altered')::boolean
                    then array(select e.value from jsonb_array_elements_text(pair -> 'live') as e)
                else cutover.image_names((pair ->> 'outgoing')::oid, form.attributes, form.width, since)
            end;
            continue when names is null or width is null;
            perform cutover.make_fields(width);
            shape := jsonb_build_object(
                'names', names,
                'places', case
                    when to_jsonb(names) <> pair -> 'names'
                        then (
                            select jsonb_agg(array_position(names, e.value) order by e.ordinality)
                            from jsonb_array_elements_text(pair -> 'names') with ordinality as e
                        )
                end
            );
            if not is_short then
                branches := branches || format(
                    'select l.change_id, l.relid, l.operation, %s as shape, pg_catalog.pg_column_size(l.new_image) as bytes, '
                    '%L::text[] as keyed, %L::text[] as key_columns, %s as key, '
                    'case when l.operation = ''update'' then array_remove(array[%s]::text[], null) end as changed '
                    'from cutover.changelog as l '
                    'left join lateral pg_catalog.record_in(pg_catalog.textout(l.old_image), %s::oid, -1) as o (%s) on true '
                    'left join lateral pg_catalog.record_in(pg_catalog.textout(l.new_image), %6$s::oid, -1) as n (%7$s) on true '
                    'where l.relid = %s and coalesce(l.new_image, l.old_image) is not null and %s %s',
                    jsonb_array_length(shapes),
                    array(select e.value from jsonb_array_elements_text(pair -> 'keyed') as e),
                    array(select e.value from jsonb_array_elements_text(pair -> 'key_columns') as e),
                    (
                        select case
                            when count(array_position(names, e.value)) = count(*) and count(*) > 0
                                then format(
                                    'array[%s]',
                                    string_agg(
                                        format('coalesce(o.c%s, n.c%1$s)', array_position(names, e.value)), ', ' order by e.value
                                    )
                                )
                            else 'null::text[]'
                        end
                        from jsonb_array_elements_text(pair -> 'key_columns') as e
                    ),
                    (
                        select string_agg(format('case when o.c%s is distinct from n.c%1$s then %L end', u.place, u.name), ', ')
                        from unnest(names) with ordinality as u (name, place)
                        where u.name is not null
                    ),
                    to_regtype(format('cutover.fields_%s', width))::oid,
                    (select string_agg(format('c%s text', i), ', ') from generate_series(1, width) as i),
                    pair ->> 'outgoing',
                    window_of,
                    case
                        when (pair ->> 'is_altered')::boolean
                            then format(
                                'and l.attributes = %s and cutover.image_width(coalesce(l.new_image, l.old_image)) = %s',
                                form.attributes, width
                            )
                    end
                );
            end if;
            shapes := shapes || jsonb_build_array(shape || jsonb_build_object(
                'relid', pair -> 'outgoing', 'attributes', form.attributes, 'width', width
            ));
        end loop;
        -- what has no image, or one that cannot be read
        if not is_short then
            branches := branches || format(
                'select l.change_id, l.relid, l.operation, null, 0, ''{}''::text[], ''{}''::text[], null::text[], null::text[] '
                'from cutover.changelog as l where l.relid = %s and %s and (coalesce(l.new_image, l.old_image) is null%s)',
                pair ->> 'outgoing',
                window_of,
                case
                    when (pair ->> 'is_altered')::boolean
                        then ' or not exists (select from jsonb_array_elements($4) as s where s -> ''relid'' = to_jsonb(l.relid) '
                            'and (s ->> ''attributes'')::integer = l.attributes '
                            'and (s ->> ''width'')::integer = cutover.image_width(coalesce(l.new_image, l.old_image)))'
                end
            );
        end if;
    end loop;
    if total = 0 then
        -- as after every other call: what a trigger of the merged accounts has written to a table of the set may have left
        -- a check for later, and PostgreSQL alters no table until then
        set constraints all immediate;
        return;
    end if;
    set constraints all deferred;

    if careful then
        for unit in execute format(
            'select c.ids, c.shapes from (select array_agg(c.change_id order by c.change_id) as ids, '
            'jsonb_object_agg(c.change_id, c.shape) as shapes, max(c.change_id) as last '
            'from (%s) as c join cutover.changelog as l on l.change_id = c.change_id group by l.xid) as c order by c.last',
            array_to_string(branches, ' union all ')
        ) using since, until, except_xid, shapes
        loop
            outcomes := '{}';
            reasons := '{}';
            waiting := unit.ids;
            begin
                foreach one in array unit.ids loop
                    select l.* into change from cutover.changelog as l where l.change_id = one;
                    done := cutover.apply_one(
                        pairs -> change.relid::text, shapes -> (unit.shapes ->> one::text)::integer, change
                    );
                    outcomes := outcomes || jsonb_build_object(one, case when done.affected > 0 then 'carried' else 'already_gone' end);
                    if done.state is not null then
                        reasons := reasons || jsonb_build_object(one, jsonb_build_array(done.state, done.message));
                    end if;
                end loop;
                set constraints all immediate;
                set constraints all deferred;
                waiting := '{}';
            exception
                when integrity_constraint_violation then
                    outcomes := '{}';
                    reasons := '{}';
            end;
            -- one of them may be what breaks it, and the others belong together
            if cardinality(waiting) between 2 and 50 then
                foreach left_out in array unit.ids loop
                    begin
                        foreach one in array unit.ids loop
                            continue when one = left_out;
                            select l.* into change from cutover.changelog as l where l.change_id = one;
                            done := cutover.apply_one(
                                pairs -> change.relid::text, shapes -> (unit.shapes ->> one::text)::integer, change
                            );
                            if done.state is not null then
                                raise integrity_constraint_violation;
                            end if;
                            outcomes := outcomes
                                || jsonb_build_object(one, case when done.affected > 0 then 'carried' else 'already_gone' end);
                        end loop;
                        set constraints all immediate;
                        set constraints all deferred;
                        waiting := array[left_out];
                        exit;
                    exception
                        when integrity_constraint_violation then
                            outcomes := '{}';
                    end;
                end loop;
            end if;
            while cardinality(waiting) > 0 loop
                still := '{}';
                foreach one in array waiting loop
                    begin
                        select l.* into change from cutover.changelog as l where l.change_id = one;
                        done := cutover.apply_one(
                            pairs -> change.relid::text, shapes -> (unit.shapes ->> one::text)::integer, change
                        );
                        if done.state is null then
                            set constraints all immediate;
                            set constraints all deferred;
                            outcomes := outcomes
                                || jsonb_build_object(one, case when done.affected > 0 then 'carried' else 'already_gone' end);
                            reasons := reasons - one::text;
                        else
                            reasons := reasons || jsonb_build_object(one, jsonb_build_array(done.state, done.message));
                            still := still || one;
                        end if;
                    exception
                        when integrity_constraint_violation then
                            reasons := reasons || jsonb_build_object(one, jsonb_build_array(sqlstate, sqlerrm));
                            still := still || one;
                    end;
                end loop;
                exit when cardinality(still) = cardinality(waiting);
                waiting := still;
            end loop;
            foreach one in array unit.ids loop
                select l.* into change from cutover.changelog as l where l.change_id = one;
                if reasons ? one::text then
                    perform cutover.set_aside(
                        this_run, pairs -> change.relid::text, shapes -> (unit.shapes ->> one::text)::integer, change,
                        reasons -> one::text ->> 0, reasons -> one::text ->> 1
                    );
                end if;
                outcome := concat_ws(
                    ' ', change.relid, change.operation,
                    case when reasons ? one::text then 'quarantined' else outcomes ->> one::text end
                );
                tally := tally || jsonb_build_object(outcome, coalesce((tally ->> outcome)::bigint, 0) + 1);
            end loop;
        end loop;
    else
        for step in execute format(case when is_short then $each$
            select
                l.relid,
                l.operation,
                (s.number - 1)::integer as shape,
                null::text[] as changed,
                array[l.change_id] as change_ids,
                array[l.change_id] as last_ids
            from cutover.changelog as l
            left join jsonb_array_elements($4) with ordinality as s (value, number)
                on s.value -> 'relid' = to_jsonb(l.relid)
                    and coalesce(l.new_image, l.old_image) is not null
                    and (
                        s.value ->> 'attributes' is null
                        or (
                            (s.value ->> 'attributes')::integer = l.attributes
                            and (s.value ->> 'width')::integer
                            = cutover.image_width(coalesce(l.new_image, l.old_image))
                        )
                    )
            where l.relid = any($7) and %2$s
            order by l.change_id
        $each$ else $statement$
            with captured as (%1$s),

            -- a change that stays by itself begins the next stretch of its row
            stretched as (
                select
                    c.*,
                    count(*) filter (where c.alone) over (partition by c.relid, c.key order by c.change_id) as stretch,
                    count(*) filter (where c.alone) over (partition by c.relid, c.key) = 0
                    and min(c.shape) over (partition by c.relid, c.key) = max(c.shape) over (partition by c.relid, c.key)
                    -- a row that moved to another key is found there only after that
                    and not bool_or(c.moved) over (partition by c.relid) as anytime
                from (
                    select
                        c.*,
                        c.operation <> 'update' or c.key is null or coalesce(c.changed && c.keyed, false) as alone,
                        coalesce(c.changed && c.key_columns, false) as moved
                    from captured as c
                ) as c
            ),

            folded as (
                select
                    s.relid,
                    s.operation,
                    s.shape,
                    s.anytime,
                    array_agg(distinct s.change_id order by s.change_id) as change_ids,
                    max(s.change_id) as last_id,
                    max(s.bytes) as bytes,
                    array_agg(distinct u.name order by u.name) filter (where u.name is not null) as changed
                from stretched as s
                left join lateral unnest(s.changed) as u (name) on true
                group by s.relid, s.operation, s.shape, s.key, s.stretch, s.alone, s.anytime,
                    case when s.key is null then s.change_id end
            ),

            ordered as (
                select
                    f.*,
                    case
                        when f.anytime then format('%%s %%s %%s', f.relid, f.shape, f.changed)
                        when f.operation = 'insert' then format('%%s %%s insert', f.relid, f.shape)
                        else f.last_id::text
                    end as kind,
                    row_number() over (
                        order by
                            f.anytime desc,
                            case when f.anytime then format('%%s %%s %%s', f.relid, f.shape, f.changed) end,
                            f.last_id
                    ) as place
                from folded as f
            ),

            -- neighbours of one kind are one statement: within it, the place and the number among its
            -- kind go up together
            numbered as (
                select
                    o.*,
                    o.place - row_number() over (partition by o.kind order by o.place) as neighbourhood,
                    (sum(o.bytes) over (order by o.place) / $5)::bigint as heap
                from ordered as o
            ),

            statement as (
                select
                    n.relid,
                    n.operation,
                    n.shape,
                    n.changed,
                    array_agg(i.change_id order by i.change_id) as change_ids,
                    -- of each row the last: it has every column that any of them set, and the key is that of all
                    array_agg(i.change_id order by i.change_id) filter (where i.change_id = n.last_id) as last_ids,
                    min(n.place) as place
                from numbered as n
                cross join unnest(n.change_ids) as i (change_id)
                group by n.relid, n.operation, n.shape, n.changed, n.kind, n.neighbourhood, n.heap, n.place / $6
            )

            select s.relid, s.operation, s.shape, s.changed, s.change_ids, s.last_ids
            from statement as s
            order by s.place
        $statement$ end, array_to_string(branches, ' union all '), window_of
        ) using since, until, except_xid, shapes, bytes_at_once, rows_at_once, carry.outgoing
        loop
            pair := pairs -> step.relid::text;
            shape := shapes -> step.shape;
            together := cardinality(step.change_ids) > 1 and shape is not null;
            if together then
                select
                    array_agg(case when step.operation = 'update' then l.new_image else l.old_image end) as old_images,
                    array_agg(l.new_image) as new_images
                into gathered
                from cutover.changelog as l
                where l.change_id = any(step.last_ids);
                if shape -> 'places' <> 'null'::jsonb then
                    select
                        array_agg(cutover.rearranged(i.old_image, (shape ->> 'width')::integer, p.places)),
                        array_agg(cutover.rearranged(i.new_image, (shape ->> 'width')::integer, p.places))
                    into gathered.old_images, gathered.new_images
                    from unnest(gathered.old_images, gathered.new_images) as i (old_image, new_image)
                    cross join (
                        select array(
                            select e.value::integer from jsonb_array_elements_text(shape -> 'places') as e
                        ) as places
                    ) as p;
                end if;
                done := cutover.apply(
                    pair,
                    array(
                        select e.value
                        from jsonb_array_elements_text(pair -> 'columns') as e
                        where case
                                when step.operation = 'update' then e.value = any(step.changed)
                                else shape -> 'names' ? e.value
                            end
                    ),
                    step.operation, gathered.old_images, gathered.new_images
                );
                if done.state is null then
                    outcome := concat_ws(' ', step.relid, step.operation, 'carried');
                    tally := tally || jsonb_build_object(
                        outcome, coalesce((tally ->> outcome)::bigint, 0) + cardinality(step.change_ids)
                    );
                    continue;
                end if;
            end if;
            for change in
                select l.* from cutover.changelog as l where l.change_id = any(step.change_ids) order by l.change_id
            loop
                done := cutover.apply_one(pair, shape, change);
                if done.state is not null then
                    perform cutover.set_aside(this_run, pair, shape, change, done.state, done.message);
                end if;
                outcome := concat_ws(
                    ' ', change.relid, change.operation,
                    case
                        when done.state is not null then 'quarantined'
                        when done.affected > 0 then 'carried'
                        else 'already_gone'
                    end
                );
                tally := tally || jsonb_build_object(outcome, coalesce((tally ->> outcome)::bigint, 0) + 1);
            end loop;
        end loop;
    end if;
    set constraints all immediate;

    for pair in select e.value from jsonb_each(pairs) as e loop
        if pair ->> 'runner' is not null then
            execute format('drop function %s(text, text[], text[])', pair ->> 'runner');
            if (pair ->> 'forces')::boolean then
                execute format('alter table %s force row level security', pair ->> 'target');
            end if;
        end if;
        if pair ->> 'own_type' is not null then
            execute format('drop type %s', pair ->> 'own_type');
        end if;
        if careful and pair -> 'always' <> 'null'::jsonb then
            for outcome in select e.value from jsonb_array_elements_text(pair -> 'always') as e loop
                execute format('alter table %s alter column %I set generated always', pair ->> 'target', outcome);
            end loop;
        end if;
    end loop;
    return query
    select
        c.relname::text,
        o.name,
        coalesce((tally ->> concat_ws(' ', p.outgoing, o.name, 'carried'))::bigint, 0),
        coalesce((tally ->> concat_ws(' ', p.outgoing, o.name, 'already_gone'))::bigint, 0),
        coalesce((tally ->> concat_ws(' ', p.outgoing, o.name, 'quarantined'))::bigint, 0)
    from unnest(carry.outgoing) as p (outgoing)
    join pg_catalog.pg_class as c on c.oid = p.outgoing
    cross join unnest(array['insert', 'update', 'delete', 'truncate']) as o (name)
    where exists (select from jsonb_object_keys(tally) as t (key) where t.key like concat_ws(' ', p.outgoing, o.name, '%'))
    order by 1, 2;
end $$;
revoke all on function cutover.carry(text, oid[], oid[], pg_snapshot, pg_snapshot, xid8, boolean, jsonb)
from public;
