SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

CREATE SCHEMA backup_r20261120_090000_2003b617a03206f3438483fc66bf63ce;

CREATE SCHEMA cutover;

COMMENT ON SCHEMA cutover IS 'Cutover ledger, 3212574644783834';

CREATE SCHEMA input;

CREATE SCHEMA raw;

CREATE SCHEMA staging;

CREATE TYPE cutover.fields_2 AS (
	c1 text,
	c2 text
);

CREATE TYPE cutover.fields_3 AS (
	c1 text,
	c2 text,
	c3 text
);

CREATE FUNCTION cutover.apply(pair jsonb, columns text[], operation text, old_images text[], new_images text[], OUT affected bigint, OUT state text, OUT message text) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
end $_$;

SET default_tablespace = '';

SET default_table_access_method = heap;

CREATE TABLE cutover.changelog (
    change_id bigint NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    relid oid NOT NULL,
    operation text NOT NULL,
    old_row jsonb,
    new_row jsonb,
    changed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    attributes smallint,
    old_image text,
    new_image text
);

CREATE FUNCTION cutover.apply_one(pair jsonb, shape jsonb, change cutover.changelog, OUT affected bigint, OUT state text, OUT message text) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
    affected := done.affected;
    state := done.state;
    message := done.message;
end $$;

CREATE TABLE cutover.audience (
    audience_id bigint NOT NULL,
    run text NOT NULL,
    channel text NOT NULL,
    person text NOT NULL,
    email text,
    user_id text,
    name text,
    recipients text[],
    skip text,
    digest text DEFAULT ''::text NOT NULL,
    erased_at timestamp with time zone,
    CONSTRAINT audience_channel_check CHECK ((channel = ANY (ARRAY['email'::text, 'push'::text])))
);

CREATE FUNCTION cutover.audience_digest(of_row cutover.audience) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select cutover.person_digest(
        pg_catalog.jsonb_build_array(
            of_row.channel, of_row.person, of_row.email, of_row.user_id, of_row.name, of_row.recipients, of_row.skip
        )::text
    )
$$;

CREATE FUNCTION cutover.begin_source(source text) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '500ms'
    AS $$
declare
    taken boolean;
begin
    insert into cutover.sync_turn as t (source, pid, backend_start)
    select begin_source.source, a.pid, a.backend_start
    from pg_catalog.pg_stat_activity as a
    where a.pid = pg_catalog.pg_backend_pid()
    on conflict on constraint sync_turn_pkey do update
        set pid = excluded.pid, backend_start = excluded.backend_start
        where not exists (
            select from pg_catalog.pg_stat_activity as a
            where a.pid = t.pid and a.pid <> excluded.pid
                -- a role that may not see other sessions is not told when they began
                and coalesce(a.backend_start, t.backend_start) = t.backend_start
        )
    returning true into taken;
    return coalesce(taken, false);
exception when lock_not_available then
    return false;
end
$$;

CREATE FUNCTION cutover.capture() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "DateStyle" TO 'ISO'
    SET "IntervalStyle" TO 'postgres'
    SET "TimeZone" TO 'UTC'
    SET extra_float_digits TO '3'
    SET bytea_output TO 'hex'
    SET lc_monetary TO 'C'
    AS $$
begin
    if tg_op = 'UPDATE' then
        if pg_catalog.pg_column_size(old) + pg_catalog.pg_column_size(new) > 1000000 then
            perform cutover.capture_large(tg_relid, 'update', old, new);
            return null;
        end if;
        insert into cutover.changelog (relid, operation, attributes, old_image, new_image)
        select c.oid, 'update', c.relnatts, pg_catalog.concat(old), pg_catalog.concat(new)
        from pg_catalog.pg_class as c
        where c.oid = tg_relid;
    elsif tg_op = 'INSERT' then
        if pg_catalog.pg_column_size(new) > 1000000 then
            perform cutover.capture_large(tg_relid, 'insert', new, new);
            return null;
        end if;
        insert into cutover.changelog (relid, operation, attributes, new_image)
        select c.oid, 'insert', c.relnatts, pg_catalog.concat(new)
        from pg_catalog.pg_class as c
        where c.oid = tg_relid;
    elsif tg_op = 'DELETE' then
        if pg_catalog.pg_column_size(old) > 1000000 then
            perform cutover.capture_large(tg_relid, 'delete', old, old);
            return null;
        end if;
        insert into cutover.changelog (relid, operation, attributes, old_image)
        select c.oid, 'delete', c.relnatts, pg_catalog.concat(old)
        from pg_catalog.pg_class as c
        where c.oid = tg_relid;
    else
        insert into cutover.changelog (relid, operation) values (tg_relid, 'truncate');
    end if;
    return null;
end $$;

CREATE FUNCTION cutover.capture_16393() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "DateStyle" TO 'ISO'
    SET "IntervalStyle" TO 'postgres'
    SET "TimeZone" TO 'UTC'
    SET extra_float_digits TO '3'
    SET bytea_output TO 'hex'
    SET lc_monetary TO 'C'
    AS $$
begin
    if tg_op = 'UPDATE' then
        if pg_catalog.pg_column_size(old) + pg_catalog.pg_column_size(new) > 1000000 then
            perform cutover.capture_large(tg_relid, 'update', old, new);
            return null;
        end if;
        insert into cutover.changelog (relid, operation, attributes, old_image, new_image)
        values (
            tg_relid, 'update', cutover.last_column('16393'::pg_catalog.regclass),
            pg_catalog.concat(old), pg_catalog.concat(new)
        );
    elsif tg_op = 'INSERT' then
        if pg_catalog.pg_column_size(new) > 1000000 then
            perform cutover.capture_large(tg_relid, 'insert', new, new);
            return null;
        end if;
        insert into cutover.changelog (relid, operation, attributes, new_image)
        values (tg_relid, 'insert', cutover.last_column('16393'::pg_catalog.regclass), pg_catalog.concat(new));
    else
        if pg_catalog.pg_column_size(old) > 1000000 then
            perform cutover.capture_large(tg_relid, 'delete', old, old);
            return null;
        end if;
        insert into cutover.changelog (relid, operation, attributes, old_image)
        values (tg_relid, 'delete', cutover.last_column('16393'::pg_catalog.regclass), pg_catalog.concat(old));
    end if;
    return null;
end $$;

CREATE FUNCTION cutover.capture_16400() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "DateStyle" TO 'ISO'
    SET "IntervalStyle" TO 'postgres'
    SET "TimeZone" TO 'UTC'
    SET extra_float_digits TO '3'
    SET bytea_output TO 'hex'
    SET lc_monetary TO 'C'
    AS $$
begin
    if tg_op = 'UPDATE' then
        if pg_catalog.pg_column_size(old) + pg_catalog.pg_column_size(new) > 1000000 then
            perform cutover.capture_large(tg_relid, 'update', old, new);
            return null;
        end if;
        insert into cutover.changelog (relid, operation, attributes, old_image, new_image)
        values (
            tg_relid, 'update', cutover.last_column('16400'::pg_catalog.regclass),
            pg_catalog.concat(old), pg_catalog.concat(new)
        );
    elsif tg_op = 'INSERT' then
        if pg_catalog.pg_column_size(new) > 1000000 then
            perform cutover.capture_large(tg_relid, 'insert', new, new);
            return null;
        end if;
        insert into cutover.changelog (relid, operation, attributes, new_image)
        values (tg_relid, 'insert', cutover.last_column('16400'::pg_catalog.regclass), pg_catalog.concat(new));
    else
        if pg_catalog.pg_column_size(old) > 1000000 then
            perform cutover.capture_large(tg_relid, 'delete', old, old);
            return null;
        end if;
        insert into cutover.changelog (relid, operation, attributes, old_image)
        values (tg_relid, 'delete', cutover.last_column('16400'::pg_catalog.regclass), pg_catalog.concat(old));
    end if;
    return null;
end $$;

CREATE FUNCTION cutover.capture_16962() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "DateStyle" TO 'ISO'
    SET "IntervalStyle" TO 'postgres'
    SET "TimeZone" TO 'UTC'
    SET extra_float_digits TO '3'
    SET bytea_output TO 'hex'
    SET lc_monetary TO 'C'
    AS $$
begin
    if tg_op = 'UPDATE' then
        if pg_catalog.pg_column_size(old) + pg_catalog.pg_column_size(new) > 1000000 then
            perform cutover.capture_large(tg_relid, 'update', old, new);
            return null;
        end if;
        insert into cutover.changelog (relid, operation, attributes, old_image, new_image)
        values (
            tg_relid, 'update', cutover.last_column('16962'::pg_catalog.regclass),
            pg_catalog.concat(old), pg_catalog.concat(new)
        );
    elsif tg_op = 'INSERT' then
        if pg_catalog.pg_column_size(new) > 1000000 then
            perform cutover.capture_large(tg_relid, 'insert', new, new);
            return null;
        end if;
        insert into cutover.changelog (relid, operation, attributes, new_image)
        values (tg_relid, 'insert', cutover.last_column('16962'::pg_catalog.regclass), pg_catalog.concat(new));
    else
        if pg_catalog.pg_column_size(old) > 1000000 then
            perform cutover.capture_large(tg_relid, 'delete', old, old);
            return null;
        end if;
        insert into cutover.changelog (relid, operation, attributes, old_image)
        values (tg_relid, 'delete', cutover.last_column('16962'::pg_catalog.regclass), pg_catalog.concat(old));
    end if;
    return null;
end $$;

CREATE FUNCTION cutover.capture_16967() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "DateStyle" TO 'ISO'
    SET "IntervalStyle" TO 'postgres'
    SET "TimeZone" TO 'UTC'
    SET extra_float_digits TO '3'
    SET bytea_output TO 'hex'
    SET lc_monetary TO 'C'
    AS $$
begin
    if tg_op = 'UPDATE' then
        if pg_catalog.pg_column_size(old) + pg_catalog.pg_column_size(new) > 1000000 then
            perform cutover.capture_large(tg_relid, 'update', old, new);
            return null;
        end if;
        insert into cutover.changelog (relid, operation, attributes, old_image, new_image)
        values (
            tg_relid, 'update', cutover.last_column('16967'::pg_catalog.regclass),
            pg_catalog.concat(old), pg_catalog.concat(new)
        );
    elsif tg_op = 'INSERT' then
        if pg_catalog.pg_column_size(new) > 1000000 then
            perform cutover.capture_large(tg_relid, 'insert', new, new);
            return null;
        end if;
        insert into cutover.changelog (relid, operation, attributes, new_image)
        values (tg_relid, 'insert', cutover.last_column('16967'::pg_catalog.regclass), pg_catalog.concat(new));
    else
        if pg_catalog.pg_column_size(old) > 1000000 then
            perform cutover.capture_large(tg_relid, 'delete', old, old);
            return null;
        end if;
        insert into cutover.changelog (relid, operation, attributes, old_image)
        values (tg_relid, 'delete', cutover.last_column('16967'::pg_catalog.regclass), pg_catalog.concat(old));
    end if;
    return null;
end $$;

CREATE FUNCTION cutover.capture_large(relid oid, operation text, old_row record, new_row record) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    insert into cutover.changelog (relid, operation, attributes, old_image, new_image)
    select
        capture_large.relid,
        capture_large.operation,
        cutover.last_column(capture_large.relid::regclass),
        case when capture_large.operation <> 'insert' then pg_catalog.concat(old_row) end,
        case when capture_large.operation <> 'delete' then pg_catalog.concat(new_row) end;
exception
    when others then
        insert into cutover.changelog (relid, operation) values (capture_large.relid, capture_large.operation);
end $$;

CREATE FUNCTION cutover.captured_row(change cutover.changelog, which text) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    image text := case which when 'old' then change.old_image else change.new_image end;
begin
    if image is null then
        return case which when 'old' then change.old_row else change.new_row end;
    end if;
    return cutover.readable(
        image, cutover.image_names(change.relid, change.attributes, cutover.image_width(image), null)
    );
end $$;

CREATE FUNCTION cutover.carry(this_run text, outgoing oid[], incoming oid[], since pg_snapshot, until pg_snapshot, except_xid xid8, careful boolean, prepared jsonb DEFAULT NULL::jsonb) RETURNS TABLE(table_name text, operation text, carried bigint, already_gone bigint, quarantined bigint)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET "TimeZone" TO 'UTC'
    SET "DateStyle" TO 'ISO, YMD'
    SET "IntervalStyle" TO 'postgres'
    SET lc_monetary TO 'C'
    SET xmloption TO 'content'
    SET bytea_output TO 'hex'
    SET extra_float_digits TO '3'
    AS $_$
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
    found bigint;
    total bigint := 0;
    earlier boolean;
begin
    for position in 1..cardinality(carry.outgoing) loop
        -- clients wait for the last call, which mostly has nothing to do for most tables
        execute format(
            'select count(*), coalesce(bool_or(coalesce(l.new_image, l.old_image) is null), false) from (select l.* '
            'from cutover.changelog as l where l.relid = %s and %s) as l', carry.outgoing[position], window_of
        ) into found, earlier using since, until, except_xid;
        total := total + found;
        continue when found = 0;
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
            shapes := shapes || jsonb_build_array(shape || jsonb_build_object(
                'relid', pair -> 'outgoing', 'attributes', form.attributes, 'width', width
            ));
        end loop;
        -- what has no image, or one that cannot be read
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
    end loop;
    if cardinality(branches) = 0 then
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
        for step in execute format(case when total <= few then $each$
            select
                c.relid, c.operation, c.shape, c.changed, array[c.change_id] as change_ids, array[c.change_id] as last_ids
            from (%s) as c
            order by c.change_id
        $each$ else $statement$
            with captured as (%s),

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
        $statement$ end, array_to_string(branches, ' union all ')
        ) using since, until, except_xid, shapes, bytes_at_once, rows_at_once
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
end $_$;

CREATE FUNCTION cutover.chain_ledger() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    if tg_op <> 'INSERT' then
        raise exception 'the ledger is append-only' using errcode = 'insufficient_privilege';
    end if;
    new.previous_hash := (select l.hash from cutover.ledger as l order by l.entry desc limit 1);
    new.hash := cutover.ledger_hash(new);
    return new;
end $$;

CREATE FUNCTION cutover.collect_outside(this_run text, keys oid[], incoming_schema text, fixed oid[], policy jsonb, aside boolean, whole boolean) RETURNS TABLE(key_name text, operation text, rows bigint, sample text)
    LANGUAGE plpgsql
    SET search_path TO ''
    SET "TimeZone" TO 'UTC'
    SET "DateStyle" TO 'ISO, YMD'
    SET "IntervalStyle" TO 'postgres'
    SET extra_float_digits TO '1'
    SET bytea_output TO 'hex'
    SET lc_monetary TO 'C'
    SET enable_nestloop TO 'on'
    AS $_$
declare
    -- PostgreSQL never knows how many rows this transaction has remembered, and believes in none where autovacuum has
    -- come by: from so many on, rows are looked up all at once, and not one by one
    many constant integer := 1000;
    reached integer := 0;
    key oid;
    affected oid[];
    part record;
    rule text;
    source text;
    image record;
    found bigint;
    remembered bigint := 0;
    grown boolean := true;
begin
    while grown and reached < 100 loop
        grown := false;
        perform set_config('enable_nestloop', case when remembered > many then 'off' else 'on' end, true);
        -- the tables that rows go from: asked for once, and not for each row
        affected := array(
            select distinct x.relid
            from (
                select distinct s.relid
                from cutover.set_aside as s
                where s.run = this_run and s.operation = 'delete' and s.level = reached - 1
            ) as s
            cross join lateral (
                select s.relid
                union all
                select a.relid::oid from pg_catalog.pg_partition_ancestors(s.relid) as a (relid)
            ) as x (relid)
        );
        for key in
            select k.oid
            from pg_catalog.pg_constraint as k
            where k.contype = 'f' and k.conparentid = 0 and to_jsonb(k) ->> 'conperiod' is distinct from 'true'
                and case
                    when reached = 0 then k.oid = any(keys)
                    else k.confrelid = any(affected)
                end
            order by k.conrelid::regclass::text, k.conname
        loop
            part := cutover.key_parts(key);
            rule := coalesce(policy ->> part.name, case when aside then 'delete' else part.rule end);
            if part.referring = any(fixed) then
                rule := 'refuse';
            end if;
            source := case
                when reached > 0 then format(
                    'from %s as o join %s as i on %s join cutover.set_aside as s on s.row_id = i.ctid '
                    'and s.relid = i.tableoid and s.run = %L and s.operation = ''delete'' and s.level = %s where true',
                    part.referring, part.referred, part.matches, this_run, reached - 1
                )
                else format(
                    'from %s as o where %s and not exists (select from %s as i where %s)', part.referring, part.complete,
                    coalesce(
                        format('%I.%I', incoming_schema, (
                            select c.relname from pg_catalog.pg_class as c where c.oid = part.referred
                        )),
                        part.referred::text
                    ),
                    part.matches
                )
            end || format(
                ' and not exists (select from cutover.set_aside as d where d.run = %L and d.relid = o.tableoid '
                'and d.row_id = o.ctid and (d.operation = ''delete'' or d.operation = ''move'' and d.key_name = %L))',
                this_run, part.name
            );
            select
                format('%L::text[]', array_agg(a.attname::text order by a.attnum)) as columns,
                format('array[%s]::text[]', string_agg(
                    format('case when o.%1$I is distinct from null then pg_catalog.format(''%%s'', o.%1$I) end', a.attname
                ), ', ' order by a.attnum
                )) as values,
                coalesce((
                    select string_agg(format('o.%I::text', pa.attname), ' || '','' || ' order by pa.attnum)
                    from pg_catalog.pg_index as x
                    join pg_catalog.pg_attribute as pa on pa.attrelid = x.indrelid and pa.attnum = any(x.indkey)
                    where x.indrelid = part.referring and x.indisprimary
                ), 'o.ctid::text') as id
            into image
            from pg_catalog.pg_attribute as a
            where a.attrelid = part.referring and a.attnum > 0 and not a.attisdropped and a.attgenerated = '';
            key_name := part.name;
            sample := null;
            if reached = 0 and part.matches not like '% and %' and incoming_schema is not null and not aside and part.referring <> all(fixed) then
                -- a row that would be there twice then, follows the key's rule
                execute format(
                    'insert into cutover.set_aside (run, relid, table_name, key_name, operation, level, columns, values, '
                    'row_id, row_version, new_key) '
                    'select %L, o.tableoid, %L, %L, ''move'', 0, %s, %s, o.ctid, o.xmin::text, m.new_key '
                    'from cutover.moved_row as m join %s as o on o.%I = m.old_key::%s '
                    'where m.run = %L and m.table_name = %L '
                    'and not exists (select from %I.%I as i where i.%I = m.old_key::%s) '
                    'and exists (select from %I.%I as i where i.%I = m.new_key::%s) %s',
                    this_run, part.referring::text, part.name, image.columns,
                    case when whole then image.values else 'null' end,
                    part.referring, part.column_name, part.type_name, this_run, part.referred_name,
                    incoming_schema, part.referred_name, part.referred_column, part.type_name,
                    incoming_schema, part.referred_name, part.referred_column, part.type_name,
                    (
                        select string_agg(format(
                            'and not exists (select from %s as twice where twice.%I = m.new_key::%s%s)',
                            part.referring, part.column_name, part.type_name, u.others
                        ), ' ')
                        from (
                            select
                                x.indexrelid,
                                coalesce(string_agg(
                                    format(' and twice.%1$I = o.%1$I', a.attname), ''
                                ) filter (where a.attname <> part.column_name), '') as others
                            from pg_catalog.pg_index as x
                            join pg_catalog.pg_attribute as a on a.attrelid = x.indrelid and a.attnum = any(x.indkey)
                            where x.indrelid = part.referring and x.indisunique
                            group by x.indexrelid
                            having bool_or(a.attname = part.column_name)
                        ) as u
                    )
                );
                get diagnostics rows = row_count;
                if rows > 0 then
                    operation := 'move';
                    return next;
                end if;
            end if;
            operation := rule;
            if rule = 'refuse' then
                execute format('select count(*), min(%s) %s', image.id, source) into rows, sample;
                found := 0;
            else
                execute format(
                    'insert into cutover.set_aside '
                    '(run, relid, table_name, key_name, operation, level, columns, values, row_id, row_version) '
                    'select distinct on (o.tableoid, o.ctid) %L, o.tableoid, %L, %L, %L, %s, %s, %s, o.ctid, o.xmin::text %s',
                    this_run, part.referring::text, part.name, rule, reached, image.columns,
                    case when whole then image.values else 'null' end, source
                );
                get diagnostics found = row_count;
                rows := found;
                sample := null;
            end if;
            grown := grown or (found > 0 and rule = 'delete');
            remembered := remembered + found;
            if rows > 0 then
                return next;
            end if;
        end loop;
        reached := reached + 1;
    end loop;
    perform set_config('enable_nestloop', case when remembered > many then 'off' else 'on' end, true);
    -- what goes needs no emptying
    delete from cutover.set_aside as s
    where s.run = this_run and s.operation <> 'delete'
        and exists (
            select from cutover.set_aside as d
            where d.run = s.run and d.relid = s.relid and d.row_id = s.row_id and d.operation = 'delete'
        );
end $_$;

CREATE FUNCTION cutover.drop_captures() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    name text;
begin
    for name in
        select format('cutover.%I()', p.proname)
        from pg_catalog.pg_proc as p
        where p.pronamespace = 'cutover'::regnamespace and p.proname ~ '^capture_[0-9]+$'
            and not exists (
                select from pg_catalog.pg_class as c where c.oid = substr(p.proname, length('capture_') + 1)::oid
            )
    loop
        execute 'drop function if exists ' || name;
    end loop;
end $_$;

CREATE FUNCTION cutover.email_key(address text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN ((lower(btrim(NORMALIZE(address, NFC))) ~ '^[^@]+@[^@]+[.][^@]+$'::text) AND (btrim(address) !~ '[[:space:]\u00a0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff]'::text) AND (length(lower(btrim(NORMALIZE(address, NFC)))) <= 320)) THEN lower(btrim(NORMALIZE(address, NFC))) ELSE NULL::text END;

CREATE FUNCTION cutover.email_key(address text, longest integer) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (length(cutover.email_key(address)) <= longest) THEN cutover.email_key(address) ELSE NULL::text END;

CREATE FUNCTION cutover.field_value(fields jsonb, slug text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog'
    AS $$
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

CREATE FUNCTION cutover.fields(image text, width integer) RETURNS text[]
    LANGUAGE plpgsql STABLE STRICT
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
end $_$;

CREATE FUNCTION cutover.hold_source(source text) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '500ms'
    AS $$
begin
    insert into cutover.sync_turn as t (source) values (hold_source.source)
    on conflict on constraint sync_turn_pkey do update set source = excluded.source;
    return true;
exception when lock_not_available then
    return false;
end
$$;

CREATE FUNCTION cutover.image_names(relation oid, attributes integer, width integer, since pg_snapshot) RETURNS text[]
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION cutover.image_width(image text) RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select length(translate(plain.text, translate(plain.text, ',', ''), '')) + 1
    from (select regexp_replace(image, '"([^"]|"")*"', '', 'g') as text) as plain
$$;

CREATE FUNCTION cutover.is_seen(writer xid, since pg_snapshot) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION cutover.keep_approval() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    if tg_op = 'UPDATE' then
        if old.consumed_at is null
            and to_jsonb(new) - '{consumed_at,consumed_by}'::text[]
            = to_jsonb(old) - '{consumed_at,consumed_by}'::text[]
        then
            return new;
        end if;
    end if;
    raise exception 'an answer stays as it was given' using errcode = 'insufficient_privilege';
end $$;

CREATE FUNCTION cutover.keep_evidence() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
    content constant text[] := '{source_id,source_row,source_bytes,detail,erased_at}';
begin
    if tg_op <> 'INSERT' then
        if tg_op = 'UPDATE' and tg_table_name = 'rejects' then
            if new.erased_at is not null
                and to_jsonb(new) @> '{"source_row": null, "source_bytes": null, "detail": null}'
                and coalesce(new.source_id, old.source_id) is not distinct from old.source_id
                and to_jsonb(new) - content = to_jsonb(old) - content
            then
                return new;
            end if;
        end if;
        if old.run is not null then
            perform cutover.require_not_asked(old.run, tg_table_name);
        end if;
    end if;
    if tg_op <> 'DELETE' then
        if new.run is not null then
            perform cutover.require_not_asked(new.run, tg_table_name);
        end if;
        return new;
    end if;
    return old;
end $$;

CREATE FUNCTION cutover.keep_phase() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
begin
    if tg_op <> 'INSERT' then
        raise exception 'records of phases are append-only' using errcode = 'insufficient_privilege';
    end if;
    if new.step in ('question', 'swap', 'rollback', 'drop', 'erase', 'send', 'verify') then
        perform from cutover.run as r where r.run = new.run for no key update;
    else
        perform cutover.require_not_asked(new.run, new.step);
    end if;
    if exists (
        select from unnest(new.made_from) as m (record_id)
        where not exists (select from cutover.phase as p where p.record_id = m.record_id and p.run = new.run)
    ) then
        raise exception 'a record of run % cannot be made from records of others', new.run
            using errcode = 'insufficient_privilege';
    end if;
    -- numbered while the run is locked: the newest by number is the last that was committed
    new.record_id := nextval(pg_get_serial_sequence('cutover.phase', 'record_id'));
    return new;
end $$;

CREATE FUNCTION cutover.keep_run() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
begin
    if tg_op = 'DELETE' then
        if old.asked_at is not null then
            perform cutover.require_not_asked(old.run, 'row');
        end if;
        return old;
    end if;
    if (new.run, new.migration, new.dag_id, new.dag_run_id, new.triggered_by, new.started_at)
        is distinct from (old.run, old.migration, old.dag_id, old.dag_run_id, old.triggered_by, old.started_at)
    then
        raise exception 'run % keeps its name, its DAG run and who triggered it', old.run
            using errcode = 'insufficient_privilege';
    end if;
    if old.asked_at is not null and to_jsonb(new) - 'finished_at' is distinct from to_jsonb(old) - 'finished_at' then
        raise exception 'run % cannot change any more: a person was asked about it at %', old.run, old.asked_at
            using errcode = 'CU001';
    end if;
    return new;
end $$;

CREATE FUNCTION cutover.keep_unchanged() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    raise exception '% of cutover.% would change evidence: it is append-only', tg_op, tg_table_name
    using errcode = 'insufficient_privilege';
end $$;

CREATE FUNCTION cutover.key_parts(key oid, OUT referring regclass, OUT referred regclass, OUT name text, OUT rule text, OUT complete text, OUT matches text, OUT assigned text[], OUT column_name text, OUT type_name text, OUT referred_name text, OUT referred_column text) RETURNS record
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select
        k.conrelid::regclass,
        k.confrelid::regclass,
        k.conrelid::regclass || ':' || quote_ident(k.conname),
        case k.confdeltype when 'c' then 'delete' when 'n' then 'set null' when 'd' then 'set default' else 'refuse' end,
        string_agg(format('o.%I is not null', a.attname), ' and ' order by n.position),
        string_agg(
            format(
                'i.%I operator(%I.%s) o.%I', f.attname, s.nspname, p.oprname, a.attname
            ), ' and ' order by n.position
        ),
        -- on delete set null may name some of the columns (PostgreSQL 15)
        array_agg(a.attname::text order by n.position) filter (
            where coalesce(to_jsonb(k) -> 'confdelsetcols', 'null') in ('null', '[]')
                or to_jsonb(k) -> 'confdelsetcols' @> to_jsonb(a.attnum)
        ),
        min(a.attname::text),
        min(format_type(a.atttypid, -1)),
        (select c.relname::text from pg_catalog.pg_class as c where c.oid = k.confrelid),
        min(f.attname::text)
    from pg_catalog.pg_constraint as k
    cross join lateral unnest(k.conkey, k.confkey, k.conpfeqop) with ordinality as n (attnum, fattnum, operator, position)
    join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = n.attnum
    join pg_catalog.pg_attribute as f on f.attrelid = k.confrelid and f.attnum = n.fattnum
    join pg_catalog.pg_operator as p on p.oid = n.operator
    join pg_catalog.pg_namespace as s on s.oid = p.oprnamespace
    where k.oid = key_parts.key
    group by k.oid, k.conrelid, k.confrelid, k.conname, k.confdeltype, to_jsonb(k) -> 'confdelsetcols'
$$;

CREATE FUNCTION cutover.keyed_columns(relation oid) RETURNS text[]
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select coalesce(array_agg(a.attname::text), '{}')
    from pg_catalog.pg_attribute as a
    where a.attrelid = relation and a.attnum > 0
        and (
            exists (
                select from pg_catalog.pg_constraint as k
                where k.conrelid = relation and k.contype in ('p', 'u', 'f', 'x') and a.attnum = any(k.conkey)
            )
            -- in an expression or predicate, too; the default of a column depends on other columns if it is generated
            or exists (
                select from pg_catalog.pg_depend as d
                left join pg_catalog.pg_index as i on d.classid = 'pg_catalog.pg_class'::regclass and i.indexrelid = d.objid
                left join pg_catalog.pg_attrdef as g on d.classid = 'pg_catalog.pg_attrdef'::regclass and g.oid = d.objid
                where d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = relation
                    and d.refobjsubid = a.attnum
                    and (i.indisunique or i.indisexclusion or g.adnum <> a.attnum)
            )
        )
$$;

CREATE FUNCTION cutover.last_column(relation regclass) RETURNS smallint
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select max(a.attnum)::smallint
    from generate_series(1, 1600) as a (attnum)
    where pg_catalog.has_column_privilege(relation::oid, a.attnum::smallint, 'select') is not null
$$;

CREATE TABLE cutover.ledger (
    entry bigint NOT NULL,
    run text NOT NULL,
    migration text NOT NULL,
    action text NOT NULL,
    undoes text,
    backup_schema text NOT NULL,
    fingerprint text NOT NULL,
    approval_id bigint,
    approved_by text,
    snapshot pg_snapshot NOT NULL,
    xid xid8 NOT NULL,
    started_at timestamp with time zone NOT NULL,
    locked_at timestamp with time zone NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    attempts integer NOT NULL,
    tables jsonb NOT NULL,
    carried jsonb NOT NULL,
    report jsonb DEFAULT '{}'::jsonb NOT NULL,
    previous_hash text,
    hash text,
    CONSTRAINT ledger_action_check CHECK ((action = ANY (ARRAY['swap'::text, 'rollback'::text])))
);

CREATE FUNCTION cutover.ledger_hash(entry cutover.ledger) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO ''
    SET "TimeZone" TO 'UTC'
    SET "DateStyle" TO 'ISO'
    AS $$
    select encode(sha256(convert_to((
        select jsonb_object_agg(c.key, c.value)
        from jsonb_each(to_jsonb(entry)) as c
        where c.key = any(array[
                'entry', 'run', 'migration', 'action', 'undoes', 'backup_schema', 'fingerprint', 'approval_id',
                'approved_by', 'snapshot', 'xid', 'started_at', 'locked_at', 'recorded_at', 'attempts', 'tables',
                'carried', 'report', 'previous_hash'
            ])
    )::text, 'UTF8')), 'hex')
$$;

CREATE FUNCTION cutover.make_capture(relation oid) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    name constant text := format('cutover.capture_%s', relation);
    body constant text := replace($body$
begin
    if tg_op = 'UPDATE' then
        if pg_catalog.pg_column_size(old) + pg_catalog.pg_column_size(new) > 1000000 then
            perform cutover.capture_large(tg_relid, 'update', old, new);
            return null;
        end if;
        insert into cutover.changelog (relid, operation, attributes, old_image, new_image)
        values (
            tg_relid, 'update', cutover.last_column('RELATION'::pg_catalog.regclass),
            pg_catalog.concat(old), pg_catalog.concat(new)
        );
    elsif tg_op = 'INSERT' then
        if pg_catalog.pg_column_size(new) > 1000000 then
            perform cutover.capture_large(tg_relid, 'insert', new, new);
            return null;
        end if;
        insert into cutover.changelog (relid, operation, attributes, new_image)
        values (tg_relid, 'insert', cutover.last_column('RELATION'::pg_catalog.regclass), pg_catalog.concat(new));
    else
        if pg_catalog.pg_column_size(old) > 1000000 then
            perform cutover.capture_large(tg_relid, 'delete', old, old);
            return null;
        end if;
        insert into cutover.changelog (relid, operation, attributes, old_image)
        values (tg_relid, 'delete', cutover.last_column('RELATION'::pg_catalog.regclass), pg_catalog.concat(old));
    end if;
    return null;
end $body$, 'RELATION', relation::text);
begin
    if exists (
        select from pg_catalog.pg_proc as p where p.oid = to_regprocedure(name || '()') and p.prosrc = body
    ) then
        return;
    end if;
    execute format(
        'create or replace function %1$s() returns trigger language plpgsql security definer '
        'set search_path = pg_catalog, pg_temp set datestyle = ''ISO'' set intervalstyle = ''postgres'' '
        'set timezone = ''UTC'' set extra_float_digits = 3 set bytea_output = ''hex'' set lc_monetary = ''C'' as %2$L; '
        'revoke all on function %1$s() from public',
        name, body
    );
end $_$;

CREATE FUNCTION cutover.make_fields(width integer) RETURNS oid
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION cutover.names(list jsonb, what text) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog'
    AS $_$
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
end $_$;

CREATE FUNCTION cutover.origins(lineage text, id text) RETURNS TABLE(role text, raw_table text, raw_id text, sync_id bigint, page_no integer, request text, fetched_at timestamp with time zone, gone_at timestamp with time zone, api_response jsonb)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    origin record;
begin
    -- a block that catches is a transaction of its own within the caller's: it is read-only, and what it calls cannot
    -- change that; the caller's own is as before afterwards
    begin
        perform set_config('transaction_read_only', 'on', true);
        for origin in execute lineage using origins.id loop
            return query execute format(
                -- a row of an API is its response, kept whole; a row of another database's table is its columns
                'select
                    $1, $2, $3, r.sync_id, (to_jsonb(r) ->> ''page_no'')::integer, coalesce(p.request, s.api),
                    coalesce(p.fetched_at, r.api_synced_at),
                    r.gone_at,
                    coalesce(
                        to_jsonb(r) -> ''api_response'',
                        to_jsonb(r) - ''{content_hash,sync_id,api_synced_at,gone_at}''::text []
                    )
                from raw.%I as r
                left join cutover.sync as s on r.sync_id = s.sync_id
                left join cutover.sync_page as p
                    on r.sync_id = p.sync_id and (to_jsonb(r) ->> ''page_no'')::integer = p.page_no
                where r.id::text = $3',
                origin.raw_table
            ) using origin.role, origin.raw_table, origin.raw_id;
        end loop;
    exception when assert_failure then
        raise;
    end;
end;
$_$;

CREATE FUNCTION cutover.pair(outgoing oid, incoming oid, since pg_snapshot, except_xid xid8) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
        -- the equality that the key's own index goes by
        'key_condition', (
            select string_agg(
                format('t.%1$I operator(%2$I.%3$s) k.%1$I', a.attname, coalesce(s.nspname, 'pg_catalog'), coalesce(o.oprname, '=')),
                ' and '
            )
            from pg_catalog.pg_constraint as k
            join pg_catalog.pg_index as x on x.indexrelid = k.conindid
            cross join lateral unnest(x.indkey::smallint[], x.indclass::oid[]) as p (attnum, opclass)
            join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = p.attnum
            join pg_catalog.pg_opclass as q on q.oid = p.opclass
            left join pg_catalog.pg_amop as m
                on m.amopfamily = q.opcfamily and m.amopmethod = 403 and m.amopstrategy = 3
                    and m.amoplefttype = q.opcintype and m.amoprighttype = q.opcintype
            left join pg_catalog.pg_operator as o on o.oid = m.amopopr
            left join pg_catalog.pg_namespace as s on s.oid = o.oprnamespace
            where k.conrelid = c.oid and k.contype = 'p'
        ),
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
$_$;

CREATE FUNCTION cutover.pending(tables oid[], since pg_snapshot, except_xid xid8) RETURNS TABLE(relid oid, operation text, changes bigint)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select l.relid, l.operation, count(*)
    from cutover.changelog as l
    where l.relid = any(tables) and l.xid >= pg_catalog.pg_snapshot_xmin(since)
        and not pg_catalog.pg_visible_in_snapshot(l.xid, since)
        and l.xid is distinct from except_xid
    group by l.relid, l.operation
$$;

CREATE FUNCTION cutover.person_digest(address text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select pg_catalog.encode(pg_catalog.sha256(k.key || pg_catalog.convert_to(address, 'UTF8')), 'hex')
    from cutover.erasure_key as k
$$;

CREATE FUNCTION cutover.put_back(this_run text, of_migration text, undone text) RETURNS TABLE(table_name text, operation text, rows bigint)
    LANGUAGE plpgsql
    SET search_path TO ''
    SET "TimeZone" TO 'UTC'
    SET "DateStyle" TO 'ISO, YMD'
    SET "IntervalStyle" TO 'postgres'
    SET extra_float_digits TO '1'
    SET bytea_output TO 'hex'
    SET lc_monetary TO 'C'
    AS $_$
declare
    one record;
    shape record;
    states jsonb;
    counted bigint;
begin
    for one in
        select
            s.relid,
            s.operation,
            s.level,
            s.columns,
            s.key_name,
            c.oid::regclass as name,
            array_agg(distinct s.run) as runs
        from cutover.set_aside as s
        join pg_catalog.pg_class as c on c.oid = s.relid
        where s.put_back_by is null and s.run <> this_run
            and (
                s.run = undone
                or s.run in (
                    select l.run from cutover.ledger as l
                    where l.migration = of_migration and l.action = 'rollback'
                )
            )
        group by s.relid, s.operation, s.level, s.columns, s.key_name, c.oid
        order by s.level, s.relid
    loop
        select
            string_agg(quote_ident(a.attname), ', ' order by a.attnum) as columns,
            string_agg(format('s.values[%s]::%s', p.position, format_type(a.atttypid, -1)), ', ' order by a.attnum) as values,
            string_agg(format('t.%I = s.values[%s]::%s', a.attname, p.position, format_type(a.atttypid, -1)), ' and ')
            filter (where x.indrelid is not null) as same_row
        into shape
        from unnest(one.columns) with ordinality as p (name, position)
        join pg_catalog.pg_attribute as a
            on a.attrelid = one.relid and a.attname = p.name and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
        left join pg_catalog.pg_index as x on x.indrelid = one.relid and x.indisprimary and a.attnum = any(x.indkey);

        execute format(
            'update cutover.set_aside as s set put_back_by = %L where s.run = any(%L) and s.relid = %s '
            'and s.operation = %L and s.level = %s and s.columns = %L and s.key_name = %L and s.put_back_by is null %s %s',
            this_run, one.runs, one.relid, one.operation, one.level, one.columns, one.key_name,
            -- every row that it refers to is there again
            (
                select string_agg(format(
                    'and (%s or exists (select from %s as i where %s))', r.any_null, k.confrelid::regclass, r.matches
                ), ' ')
                from pg_catalog.pg_constraint as k
                cross join lateral (
                    select
                        string_agg(format('s.values[%s] is null', coalesce(array_position(one.columns, a.attname::text), 0)), ' or ')
                        as any_null,
                        string_agg(format(
                            'i.%I = s.values[%s]::%s', f.attname, coalesce(array_position(one.columns, a.attname::text), 0),
                            format_type(a.atttypid, -1)
                        ), ' and ') as matches
                    from unnest(k.conkey, k.confkey) as n (attnum, fattnum)
                    join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = n.attnum
                    join pg_catalog.pg_attribute as f on f.attrelid = k.confrelid and f.attnum = n.fattnum
                ) as r
                -- itself, one by one, is what the rows put back together decide
                where k.conrelid = one.relid and k.contype = 'f' and k.confrelid <> k.conrelid
                    and to_jsonb(k) ->> 'conperiod' is distinct from 'true'
            ),
            case
                when one.operation = 'delete' and shape.same_row is not null
                    then format('and not exists (select from only %s as t where %s)', one.name, shape.same_row)
                when one.operation <> 'delete'
                    then format('and exists (select from only %s as t where %s)', one.name, coalesce(shape.same_row, 'false'))
                else ''
            end
        );
        get diagnostics counted = row_count;
        continue when counted = 0;
        states := cutover.quiet_triggers(one.relid, null);
        if one.operation = 'delete' then
            execute format(
                'insert into %s (%s) overriding system value select %s from cutover.set_aside as s '
                'where s.put_back_by = %L and s.run = any(%L) and s.relid = %s and s.operation = ''delete'' '
                'and s.level = %s and s.columns = %L and s.key_name = %L on conflict do nothing',
                one.name, shape.columns, shape.values, this_run, one.runs, one.relid, one.level, one.columns, one.key_name
            );
        else
            -- whoever has given the column a value since knows better
            execute format(
                'update only %1$s as t set %2$s from cutover.set_aside as s where s.put_back_by = %3$L and s.run = any(%4$L) '
                'and s.relid = %5$s and s.operation = %6$L and s.columns = %7$L and s.key_name = %8$L and %9$s and %10$s',
                one.name,
                (
                    select string_agg(format(
                        '%1$I = s.values[%2$s]::%3$s', a.attname, array_position(one.columns, a.attname::text),
                        format_type(a.atttypid, -1)
                    ), ', ')
                    from pg_catalog.pg_constraint as k
                    cross join lateral unnest((cutover.key_parts(k.oid)).assigned) as c (name)
                    join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attname = c.name
                    where k.conrelid = one.relid and k.conrelid::regclass || ':' || quote_ident(k.conname) = one.key_name
                ),
                this_run, one.runs, one.relid, one.operation, one.columns, one.key_name, shape.same_row,
                case when one.operation = 'set null' then (
                    select string_agg(format('t.%I is null', c.name), ' and ')
                    from pg_catalog.pg_constraint as k
                    cross join lateral unnest((cutover.key_parts(k.oid)).assigned) as c (name)
                    where k.conrelid = one.relid and k.conrelid::regclass || ':' || quote_ident(k.conname) = one.key_name
                ) else 'true' end
            );
        end if;
        get diagnostics counted = row_count;
        perform cutover.quiet_triggers(one.relid, states);
        table_name := one.name::text;
        operation := one.operation;
        rows := counted;
        return next;
    end loop;
end $_$;

CREATE FUNCTION cutover.quiet_triggers(relation oid, states jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    had jsonb;
    one record;
begin
    if states is null then
        select coalesce(jsonb_object_agg(t.tgname, t.tgenabled), '{}')
        into had
        from pg_catalog.pg_trigger as t
        join pg_catalog.pg_class as c on c.oid = t.tgrelid
        where t.tgrelid = relation and not t.tgisinternal and t.tgenabled <> 'D'
            and pg_catalog.pg_has_role(current_user, c.relowner, 'USAGE');
        for one in select * from jsonb_each_text(had) loop
            execute format('alter table only %s disable trigger %I', relation::regclass, one.key);
        end loop;
        return had;
    end if;
    for one in select * from jsonb_each_text(states) loop
        execute format(
            'alter table only %s enable %s trigger %I', relation::regclass,
            case one.value when 'A' then 'always' when 'R' then 'replica' else '' end, one.key
        );
    end loop;
    return states;
end $$;

CREATE FUNCTION cutover.read_earlier(pair jsonb, since pg_snapshot, until pg_snapshot, except_xid xid8) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
end $_$;

CREATE FUNCTION cutover.readable(image text, names text[]) RETURNS jsonb
    LANGUAGE plpgsql STABLE STRICT
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION cutover.rearranged(image text, width integer, places integer[]) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
end $_$;

CREATE FUNCTION cutover.refuse_truncate() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    raise exception 'evidence is not truncated' using errcode = 'insufficient_privilege';
end $$;

CREATE FUNCTION cutover.release_source(source text) RETURNS boolean
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with released as (
        update cutover.sync_turn as t set pid = null, backend_start = null
        where t.source = release_source.source and t.pid = pg_catalog.pg_backend_pid()
        returning 1
    )
    select exists (select from released)
$$;

CREATE FUNCTION cutover.require_not_asked(of_run text, what text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
    asked timestamptz;
begin
    select r.asked_at into asked from cutover.run as r where r.run = of_run for no key update;
    if asked is not null then
        raise exception 'the % of run % cannot change any more: a person was asked about it at %', what, of_run, asked
            using errcode = 'CU001';
    end if;
end $$;

CREATE FUNCTION cutover.restated(view oid, OUT before text, OUT after text) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    trial text := format('cutover.restated_%s', pg_backend_pid());
begin
    before := pg_get_viewdef(view);
    execute format('create view %s as %s', trial, before);
    after := pg_get_viewdef(trial::regclass);
    execute format('drop view %s', trial);
end $$;

CREATE FUNCTION cutover.set_aside(this_run text, pair jsonb, shape jsonb, change cutover.changelog, state text, message text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION cutover.set_outside_aside(this_run text, keys oid[], incoming_schema text) RETURNS TABLE(key_name text, operation text, rows bigint)
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $_$
declare
    key oid;
    part record;
    one record;
    gone bigint;
    dropped bigint := 0;
    expected bigint;
    quieted jsonb := '{}';
begin
    for one in select distinct s.relid, s.relid::regclass as name from cutover.set_aside as s where s.run = this_run loop
        execute format(
            'delete from cutover.set_aside as s where s.run = %1$L and s.relid = %2$s '
            'and not exists (select from only %3$s as o where o.ctid = s.row_id and o.xmin::text = s.row_version)',
            this_run, one.relid, one.name
        );
        get diagnostics gone = row_count;
        dropped := dropped + gone;
    end loop;
    foreach key in array keys loop
        part := cutover.key_parts(key);
        continue when not exists (
            select from cutover.set_aside as s where s.run = this_run and s.level = 0 and s.key_name = part.name
        );
        execute format(
            'delete from cutover.set_aside as s using %s as o, %s as i where s.run = %L and s.level = 0 '
            'and s.key_name = %L and s.relid = o.tableoid and s.row_id = o.ctid and %s',
            part.referring,
            coalesce(
                format('%I.%I', incoming_schema, (
                    select c.relname from pg_catalog.pg_class as c where c.oid = part.referred
                )),
                part.referred::text
            ),
            this_run, part.name, part.matches
        );
        get diagnostics gone = row_count;
        dropped := dropped + gone;
    end loop;
    if dropped > 0 and exists (select from cutover.set_aside as s where s.run = this_run and s.level > 0) then
        raise exception 'rows outside the set changed while they were looked at' using errcode = 'lock_not_available';
    end if;

    -- nothing may come to refer to a row that goes now: PostgreSQL would take it along, and nobody would have it
    for key in
        select distinct k.oid
        from (select distinct s.relid from cutover.set_aside as s where s.run = this_run and s.operation = 'delete') as s
        left join lateral pg_catalog.pg_partition_ancestors(s.relid) as a (relid) on true
        join pg_catalog.pg_constraint as k on k.contype = 'f' and k.conparentid = 0 and k.confrelid in (s.relid, a.relid)
    loop
        part := cutover.key_parts(key);
        execute format('lock table %s in share row exclusive mode', part.referring);
        execute format(
            'select exists (select from cutover.set_aside as s join %s as i on i.ctid = s.row_id and i.tableoid = s.relid '
            'join %s as o on %s where s.run = %L and s.operation = ''delete'' and not exists ('
            'select from cutover.set_aside as d where d.run = %L and d.relid = o.tableoid and d.row_id = o.ctid))',
            part.referred, part.referring, part.matches, this_run, this_run
        ) into one;
        if one.exists then
            raise exception 'rows outside the set were written while they were looked at'
                using errcode = 'lock_not_available';
        end if;
    end loop;

    for one in select distinct s.relid from cutover.set_aside as s where s.run = this_run loop
        quieted := quieted || jsonb_build_object(one.relid::text, cutover.quiet_triggers(one.relid, null));
    end loop;
    -- a row may lose several keys: all in one statement, since an update moves it
    for one in
        select
            s.relid,
            s.relid::regclass as name,
            string_agg(distinct format(
                '%1$I = case when k.moves ?| %2$L::text[] '
                'then (select v.value::%4$s from jsonb_each_text(k.moves) as v where v.key = any(%2$L::text[]) limit 1) '
                'when k.names && %2$L::text[] then %3$s else o.%1$I end', c.name, c.keys,
                case when c.operation = 'set default' then coalesce(c.default_value, 'null') else 'null' end, c.type_name
            ), ', ') as assigned
        from (select distinct s.relid from cutover.set_aside as s where s.run = this_run and s.operation <> 'delete') as s
        cross join lateral (
            select
                a.name,
                max(l.operation) filter (where l.operation <> 'move') as operation,
                array_agg(distinct l.key_name) as keys,
                (
                    select format_type(b.atttypid, -1)
                    from pg_catalog.pg_attribute as b
                    where b.attrelid = s.relid and b.attname = a.name
                ) as type_name,
                (
                    select pg_catalog.pg_get_expr(d.adbin, d.adrelid)
                    from pg_catalog.pg_attrdef as d
                    join pg_catalog.pg_attribute as b on b.attrelid = d.adrelid and b.attnum = d.adnum
                    where d.adrelid = s.relid and b.attname = a.name
                ) as default_value
            from (
                select distinct x.key_name, x.operation
                from cutover.set_aside as x
                where x.run = this_run and x.relid = s.relid and x.operation <> 'delete'
            ) as l
            join pg_catalog.pg_constraint as k
                on k.contype = 'f' and k.conrelid::regclass || ':' || quote_ident(k.conname) = l.key_name
            cross join lateral unnest((cutover.key_parts(k.oid)).assigned) as a (name)
            group by a.name
        ) as c
        group by s.relid
    loop
        execute format(
            'update only %s as o set %s from (select s.row_id, array_agg(s.key_name) as names, '
            'coalesce(jsonb_object_agg(s.key_name, s.new_key) filter (where s.operation = ''move''), ''{}'') as moves '
            'from cutover.set_aside as s where s.run = %L and s.relid = %s and s.operation <> ''delete'' group by s.row_id'
            ') as k where o.ctid = k.row_id',
            one.name, one.assigned, this_run, one.relid
        );
    end loop;
    for one in
        select
            s.relid,
            s.relid::regclass as name,
            s.level,
            count(*) as expected
        from cutover.set_aside as s
        where s.run = this_run and s.operation = 'delete'
        group by s.relid, s.level
        order by s.level desc, s.relid
    loop
        execute format(
            'delete from only %s as o using cutover.set_aside as s where s.run = %L and s.relid = %s '
            'and s.operation = ''delete'' and s.level = %s and o.ctid = s.row_id',
            one.name, this_run, one.relid, one.level
        );
    end loop;
    for one in select * from jsonb_each(quieted) loop
        perform cutover.quiet_triggers(one.key::oid, one.value);
    end loop;
    return query
    select s.key_name, s.operation, count(*)
    from cutover.set_aside as s
    where s.run = this_run
    group by s.key_name, s.operation
    order by 1, 2;
end $_$;

CREATE FUNCTION cutover.unsubscribe(of_letter uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
    of_address text;
begin
    select a.address into of_address from cutover.announcement as a where a.letter = of_letter;
    if of_address is null then
        return false;
    end if;
    insert into cutover.suppression (recipient, reason) values (of_address, 'unsubscribed') on conflict do nothing;
    return true;
end $$;

CREATE FUNCTION cutover.why(table_name text, id text) RETURNS TABLE(role text, raw_table text, raw_id text, sync_id bigint, page_no integer, request text, fetched_at timestamp with time zone, gone_at timestamp with time zone, api_response jsonb)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    lineage text;
begin
    -- before the engine's role began to be the only one that writes here, another could have
    if exists (
        select
        from pg_class as c
        cross join lateral aclexplode(c.relacl) as a
        where c.oid = 'cutover.lineage'::regclass and a.grantee <> c.relowner
            and a.privilege_type in ('INSERT', 'UPDATE')
    ) then
        raise exception 'another role than the engine''s may write cutover.lineage'
            using hint = 'Run roles.sql again, which takes that right away, and then any task of the migration.';
    end if;
    select l.statement into lineage
    from cutover.lineage as l
    where l.table_name = regexp_replace(why.table_name, '^.*\.', '');
    if lineage is null then
        raise exception 'nothing is known about the origin of table "%"', why.table_name
            using hint = 'Tables with a known origin are listed in cutover.lineage.';
    end if;
    return query select * from cutover.origins(lineage, why.id);
end;
$$;

CREATE FUNCTION cutover.with_sorted(response jsonb, VARIADIC members text[]) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (response || COALESCE((SELECT jsonb_object_agg(wanted.member, (SELECT jsonb_agg(list.item ORDER BY list.item) AS jsonb_agg FROM jsonb_array_elements((with_sorted.response -> wanted.member)) list(item))) AS jsonb_object_agg FROM unnest(with_sorted.members) wanted(member) WHERE (jsonb_typeof((with_sorted.response -> wanted.member)) = 'array'::text)), '{}'::jsonb));

CREATE TABLE backup_r20261120_090000_2003b617a03206f3438483fc66bf63ce.orders (
    id integer NOT NULL,
    person integer
);

CREATE TABLE backup_r20261120_090000_2003b617a03206f3438483fc66bf63ce.people (
    id integer NOT NULL,
    name text,
    amount integer
);

CREATE TABLE cutover.announcement (
    announcement_id bigint NOT NULL,
    migration text NOT NULL,
    campaign text NOT NULL,
    channel text NOT NULL,
    person text NOT NULL,
    address text,
    run text NOT NULL,
    state text NOT NULL,
    reason text,
    attempts integer DEFAULT 1 NOT NULL,
    letter uuid DEFAULT gen_random_uuid() NOT NULL,
    sender_pid integer,
    sender_started timestamp with time zone,
    claimed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT announcement_channel_check CHECK ((channel = ANY (ARRAY['email'::text, 'push'::text]))),
    CONSTRAINT announcement_state_check CHECK ((state = ANY (ARRAY['claimed'::text, 'unknown'::text, 'sent'::text, 'failed'::text, 'skipped'::text, 'deferred'::text])))
);

ALTER TABLE cutover.announcement ALTER COLUMN announcement_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME cutover.announcement_announcement_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE cutover.approvals (
    approval_id bigint NOT NULL,
    run text NOT NULL,
    action text NOT NULL,
    decision text NOT NULL,
    fingerprint text NOT NULL,
    task_id text NOT NULL,
    try_number integer NOT NULL,
    approved_by text NOT NULL,
    approved_by_id text,
    triggered_by text,
    comment text,
    decided_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    consumed_at timestamp with time zone,
    consumed_by text,
    CONSTRAINT approvals_action_check CHECK ((action = ANY (ARRAY['swap'::text, 'rollback'::text, 'drop_backups'::text, 'erase_person'::text, 'announce'::text]))),
    CONSTRAINT approvals_decision_check CHECK ((decision = ANY (ARRAY['approve'::text, 'reject'::text])))
);

ALTER TABLE cutover.approvals ALTER COLUMN approval_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME cutover.approvals_approval_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE cutover.audience ALTER COLUMN audience_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME cutover.audience_audience_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE cutover.certificate (
    run text NOT NULL,
    issued_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    left_behind jsonb NOT NULL,
    not_validated jsonb NOT NULL,
    inventory_hash text NOT NULL,
    done jsonb NOT NULL
);

CREATE TABLE cutover.chain (
    link bigint NOT NULL,
    kind text NOT NULL,
    run text,
    subjects text[] NOT NULL,
    payload text NOT NULL,
    digest text NOT NULL,
    previous text,
    head text NOT NULL,
    key_id text NOT NULL,
    signature text NOT NULL,
    signed_at timestamp with time zone NOT NULL
);

ALTER TABLE cutover.changelog ALTER COLUMN change_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME cutover.changelog_change_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE cutover.erasure (
    erasure_id bigint NOT NULL,
    migration text NOT NULL,
    subject text,
    digests text[] NOT NULL,
    requested_by text NOT NULL,
    requested_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    counts jsonb,
    approved_by text,
    erased_at timestamp with time zone
);

ALTER TABLE cutover.erasure ALTER COLUMN erasure_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME cutover.erasure_erasure_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE cutover.erasure_key (
    one boolean DEFAULT true NOT NULL,
    key bytea DEFAULT ((uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) || uuid_send(gen_random_uuid())) NOT NULL,
    CONSTRAINT erasure_key_one_check CHECK (one)
);

CREATE TABLE cutover.late_write (
    run text NOT NULL,
    moment text NOT NULL,
    source text NOT NULL,
    written bigint NOT NULL,
    removed bigint NOT NULL,
    looked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT late_write_moment_check CHECK ((moment = ANY (ARRAY['review'::text, 'verify'::text])))
);

ALTER TABLE cutover.ledger ALTER COLUMN entry ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME cutover.ledger_entry_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE cutover.lineage (
    table_name text NOT NULL,
    migration text NOT NULL,
    statement text NOT NULL
);

CREATE TABLE cutover.moved_row (
    run text NOT NULL,
    table_name text NOT NULL,
    old_key text NOT NULL,
    new_key text NOT NULL
);

CREATE TABLE cutover.notice (
    notice_id bigint NOT NULL,
    run text NOT NULL,
    action text NOT NULL,
    channel text NOT NULL,
    recipient text NOT NULL,
    error text,
    noticed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT notice_channel_check CHECK ((channel = ANY (ARRAY['email'::text, 'webhook'::text])))
);

ALTER TABLE cutover.notice ALTER COLUMN notice_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME cutover.notice_notice_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE cutover.outlook (
    outlook_id bigint NOT NULL,
    run text NOT NULL,
    codes text[] NOT NULL,
    seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

ALTER TABLE cutover.outlook ALTER COLUMN outlook_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME cutover.outlook_outlook_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE cutover.phase (
    record_id bigint NOT NULL,
    run text NOT NULL,
    step text NOT NULL,
    holds boolean DEFAULT true NOT NULL,
    made_from bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    result jsonb DEFAULT '{}'::jsonb NOT NULL,
    task_id text,
    try_number integer,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL
);

ALTER TABLE cutover.phase ALTER COLUMN record_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME cutover.phase_record_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE cutover.quarantine (
    quarantine_id bigint NOT NULL,
    run text NOT NULL,
    change_id bigint NOT NULL,
    schema_name text NOT NULL,
    table_name text NOT NULL,
    operation text NOT NULL,
    key jsonb,
    old_row jsonb,
    new_row jsonb,
    sqlstate text NOT NULL,
    reason text NOT NULL,
    quarantined_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    old_image text,
    new_image text,
    erased_at timestamp with time zone
);

ALTER TABLE cutover.quarantine ALTER COLUMN quarantine_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME cutover.quarantine_quarantine_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE cutover.reading (
    run text NOT NULL,
    source text NOT NULL,
    full_sync_id bigint NOT NULL,
    sync_id bigint NOT NULL
);

CREATE TABLE cutover.reconciliation (
    run text NOT NULL,
    source text NOT NULL,
    read bigint NOT NULL,
    staged bigint NOT NULL,
    merged bigint NOT NULL,
    left_out bigint NOT NULL,
    rejected bigint NOT NULL,
    reasons jsonb DEFAULT '{}'::jsonb NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE cutover.rejects (
    reject_id bigint NOT NULL,
    run text,
    sync_id bigint,
    source text NOT NULL,
    source_id text,
    reason text NOT NULL,
    detail text,
    source_row jsonb,
    source_bytes bytea,
    rejected_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    erased_at timestamp with time zone
);

ALTER TABLE cutover.rejects ALTER COLUMN reject_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME cutover.rejects_reject_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE cutover.released_key (
    backup_schema text NOT NULL,
    table_name text NOT NULL,
    constraint_name text NOT NULL,
    definition text NOT NULL,
    referenced_name text
);

CREATE TABLE cutover.run (
    run text NOT NULL,
    migration text NOT NULL,
    dag_id text NOT NULL,
    dag_run_id text NOT NULL,
    triggered_by text,
    parameters jsonb DEFAULT '{}'::jsonb NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    frozen_at timestamp with time zone,
    snapshot pg_snapshot,
    staged_at timestamp with time zone,
    staged_xid xid8,
    fingerprint text,
    validation jsonb,
    review jsonb,
    finished_at timestamp with time zone,
    coverage jsonb,
    asked_at timestamp with time zone,
    filenodes jsonb
);

CREATE TABLE cutover.set_aside (
    set_aside_id bigint NOT NULL,
    run text NOT NULL,
    relid oid NOT NULL,
    table_name text NOT NULL,
    key_name text NOT NULL,
    operation text NOT NULL,
    level integer NOT NULL,
    columns text[] NOT NULL,
    "values" text[],
    new_key text,
    row_id tid NOT NULL,
    row_version text NOT NULL,
    set_aside_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    put_back_by text,
    CONSTRAINT set_aside_operation_check CHECK ((operation = ANY (ARRAY['delete'::text, 'move'::text, 'set null'::text, 'set default'::text])))
);

ALTER TABLE cutover.set_aside ALTER COLUMN set_aside_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME cutover.set_aside_set_aside_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE cutover.suppression (
    recipient text NOT NULL,
    reason text NOT NULL,
    noted_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT suppression_reason_check CHECK ((reason = ANY (ARRAY['unsubscribed'::text, 'bounced'::text, 'unregistered'::text])))
);

CREATE TABLE cutover.sync (
    sync_id bigint NOT NULL,
    source text NOT NULL,
    mode text NOT NULL,
    state text DEFAULT 'running'::text NOT NULL,
    because text NOT NULL,
    api text NOT NULL,
    account text NOT NULL,
    declaration text NOT NULL,
    until timestamp with time zone NOT NULL,
    clock_ahead double precision,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    finished_at timestamp with time zone,
    resumed integer DEFAULT 0 NOT NULL,
    pages integer DEFAULT 0 NOT NULL,
    rows bigint DEFAULT 0 NOT NULL,
    repeated bigint DEFAULT 0 NOT NULL,
    new bigint DEFAULT 0 NOT NULL,
    changed bigint DEFAULT 0 NOT NULL,
    returned bigint DEFAULT 0 NOT NULL,
    unchanged bigint DEFAULT 0 NOT NULL,
    gone bigint DEFAULT 0 NOT NULL,
    rejected bigint DEFAULT 0 NOT NULL,
    adjusted bigint DEFAULT 0 NOT NULL,
    requests bigint DEFAULT 0 NOT NULL,
    retries bigint DEFAULT 0 NOT NULL,
    received_bytes bigint DEFAULT 0 NOT NULL,
    waited jsonb DEFAULT '{}'::jsonb NOT NULL,
    first_id text,
    last_id text,
    not_given jsonb DEFAULT '[]'::jsonb NOT NULL,
    total bigint,
    error_code text,
    error text,
    CONSTRAINT sync_mode_check CHECK ((mode = ANY (ARRAY['full'::text, 'incremental'::text]))),
    CONSTRAINT sync_state_check CHECK ((state = ANY (ARRAY['running'::text, 'complete'::text, 'failed'::text, 'abandoned'::text])))
);

CREATE TABLE cutover.sync_adjustment (
    adjustment_id bigint NOT NULL,
    sync_id bigint NOT NULL,
    page_no integer NOT NULL,
    source text NOT NULL,
    source_id text NOT NULL,
    change text NOT NULL,
    received bytea NOT NULL,
    adjusted_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

ALTER TABLE cutover.sync_adjustment ALTER COLUMN adjustment_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME cutover.sync_adjustment_adjustment_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE cutover.sync_page (
    sync_id bigint NOT NULL,
    page_no integer NOT NULL,
    window_no integer NOT NULL,
    attempt integer NOT NULL,
    request text NOT NULL,
    fetched_at timestamp with time zone NOT NULL,
    received_bytes integer NOT NULL,
    rows integer NOT NULL,
    new integer NOT NULL,
    changed integer NOT NULL,
    returned integer NOT NULL,
    rejected integer NOT NULL,
    adjusted integer NOT NULL,
    first_id text,
    last_id text,
    ids text[]
);

CREATE TABLE cutover.sync_state (
    source text NOT NULL,
    api text NOT NULL,
    account text NOT NULL,
    declaration text NOT NULL,
    watermark timestamp with time zone NOT NULL,
    cursor_name text,
    sweep integer DEFAULT 0 NOT NULL,
    stored bigint NOT NULL,
    last_sync bigint NOT NULL,
    last_full_sync bigint NOT NULL
);

ALTER TABLE cutover.sync ALTER COLUMN sync_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME cutover.sync_sync_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE cutover.sync_turn (
    source text NOT NULL,
    pid integer,
    backend_start timestamp with time zone
);

CREATE TABLE cutover.sync_window (
    sync_id bigint NOT NULL,
    window_no integer NOT NULL,
    name text NOT NULL,
    params jsonb NOT NULL,
    state text DEFAULT 'open'::text NOT NULL,
    "position" jsonb DEFAULT '{}'::jsonb NOT NULL,
    pages integer DEFAULT 0 NOT NULL,
    rows bigint DEFAULT 0 NOT NULL,
    CONSTRAINT sync_window_state_check CHECK ((state = ANY (ARRAY['open'::text, 'complete'::text])))
);

CREATE TABLE cutover.timeline (
    run text NOT NULL,
    step text NOT NULL,
    "position" integer NOT NULL,
    planned_at timestamp with time zone,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    note text,
    told_late_at timestamp with time zone
);

CREATE TABLE cutover.turn (
    name text NOT NULL
);

CREATE TABLE cutover.watch (
    watch_id bigint NOT NULL,
    run text NOT NULL,
    name text NOT NULL,
    moment text NOT NULL,
    value numeric,
    verdict text NOT NULL,
    detail text,
    counted jsonb,
    looked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT watch_moment_check CHECK ((moment = ANY (ARRAY['baseline'::text, 'watch'::text]))),
    CONSTRAINT watch_verdict_check CHECK ((verdict = ANY (ARRAY['good'::text, 'bad'::text, 'inconclusive'::text])))
);

ALTER TABLE cutover.watch ALTER COLUMN watch_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME cutover.watch_watch_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE cutover.watcher (
    run text NOT NULL,
    watcher text NOT NULL,
    looked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE cutover.workspace (
    workspace text DEFAULT 'staging'::text NOT NULL,
    run text NOT NULL,
    claimed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT workspace_workspace_check CHECK ((workspace = 'staging'::text))
);

CREATE TABLE input.people (
    id integer,
    name text,
    amount integer
);

CREATE TABLE public.orders (
    id integer NOT NULL,
    person integer
);

CREATE TABLE public.people (
    id integer NOT NULL,
    name text,
    amount integer
);

CREATE TABLE raw.people (
    id integer NOT NULL,
    name text,
    amount integer
);

CREATE TABLE staging.person (
    id integer,
    name text,
    amount integer
);

INSERT INTO backup_r20261120_090000_2003b617a03206f3438483fc66bf63ce.people VALUES (1, 'Ana', 1);

INSERT INTO cutover.approvals OVERRIDING SYSTEM VALUE VALUES (1, 'r20261120_090000_2003b617a03206f3438483fc66bf63ce', 'swap', 'approve', 'de6d077de4e7782c8d74d8e1caf03e984d5a1dd909a4ceae87b817001676ca58', 'approve', 11, 'reviewer', '2', 'operator', NULL, '2026-11-27 08:35:13.272879+00', '2026-11-27 09:35:13.272879+00', '2026-11-27 08:35:15.611651+00', '2026-11-27 08:35:22.480021+00', 'swap of r20261120_090000_2003b617a03206f3438483fc66bf63ce');

INSERT INTO cutover.certificate VALUES ('r20261120_090000_2003b617a03206f3438483fc66bf63ce', '2026-11-27 08:35:25.115161+00', '[]', '[]', '77f56c2fe774538bffdb19fa1c56800eba5b292126d0c96c5cc807c6fb13937e', '[]');

INSERT INTO cutover.chain VALUES (1, 'begin', NULL, '{}', '{"rows":{},"says":{"public_key":"Jnfiyud/ET6h9JgGE4+LsmaBB7wiAlUgqQPCENzW2aQ=","taken_in":{}}}', '940beecec1bcc5be7df46311ef6e5d23cec0f3910a6f4db627642b897b5c961d', NULL, '747a7d8a21422d069f51263374b12d33991aa47c673ba81773032a7707160197', 'cc3159c86eb46c4d', 'vG0ls7CFDxthv2uEn50Uh2OFBLTL/c9VC56OamKlVu/3n/BmBvSVBHJU4Gv4zBBjO6TV8CvSpvCmWrhdVmFTDw==', '2026-11-27 08:35:07.755002+00');
INSERT INTO cutover.chain VALUES (2, 'review', 'r20261120_090000_2003b617a03206f3438483fc66bf63ce', '{"run r20261120_090000_2003b617a03206f3438483fc66bf63ce"}', '{"rows":{"run r20261120_090000_2003b617a03206f3438483fc66bf63ce":{"asked_at":null,"coverage":{"sha256":"10fcc891897dac40364abbab9ea01d4dbea60f7f781a37b6671bfc462453e584"},"dag_id":"tiny","dag_run_id":"manual__2026-11-20T09:00:00+00:00","filenodes":{"16393":16393,"16400":16400},"fingerprint":"de6d077de4e7782c8d74d8e1caf03e984d5a1dd909a4ceae87b817001676ca58","frozen_at":"2026-11-27T08:34:53.922741+00:00","migration":"tiny","parameters":{"sha256":"8e7d93ad47d7f65c00aa5f75b319d53ad7fbba3506ce35a91b6b5b4ebc145d76"},"review":{"sha256":"8b21be45ee89912e657f2d263490f6bc4b0fd1e8c137f4ac4e03192dfb294172"},"run":"r20261120_090000_2003b617a03206f3438483fc66bf63ce","snapshot":"750:750:","staged_at":"2026-11-27T08:35:00.428672+00:00","staged_xid":"779","started_at":"2026-11-27T08:34:44.312247+00:00","triggered_by":"operator","validation":{"sha256":"50e3a82309b533eea820c95391ba275886ec615bcee812afaa0897e343f2cc81"}}},"says":{}}', '242e50f58046bc559bbf50e8b3a261156030f9836e0c5b3138fffdc536a2c035', '747a7d8a21422d069f51263374b12d33991aa47c673ba81773032a7707160197', '59024cf5b6a356dc67a397d55d19b2884a6cf7ffc70f1e14bcf8c78e819ffc4e', 'cc3159c86eb46c4d', 'TalEp1BPITJT2mzQhChPPKxFHzuXZRqJXeQsEZMQSVOE+0vODCwBd46JgNEmVAfcU8Kf3UvTNFI1Q4bdkEFSDw==', '2026-11-27 08:35:07.770501+00');
INSERT INTO cutover.chain VALUES (3, 'question', 'r20261120_090000_2003b617a03206f3438483fc66bf63ce', '{"run r20261120_090000_2003b617a03206f3438483fc66bf63ce"}', '{"rows":{"run r20261120_090000_2003b617a03206f3438483fc66bf63ce":{"asked_at":"2026-11-27T08:35:12.347249+00:00","coverage":{"sha256":"10fcc891897dac40364abbab9ea01d4dbea60f7f781a37b6671bfc462453e584"},"dag_id":"tiny","dag_run_id":"manual__2026-11-20T09:00:00+00:00","filenodes":{"16393":16393,"16400":16400},"fingerprint":"de6d077de4e7782c8d74d8e1caf03e984d5a1dd909a4ceae87b817001676ca58","frozen_at":"2026-11-27T08:34:53.922741+00:00","migration":"tiny","parameters":{"sha256":"8e7d93ad47d7f65c00aa5f75b319d53ad7fbba3506ce35a91b6b5b4ebc145d76"},"review":{"sha256":"8b21be45ee89912e657f2d263490f6bc4b0fd1e8c137f4ac4e03192dfb294172"},"run":"r20261120_090000_2003b617a03206f3438483fc66bf63ce","snapshot":"750:750:","staged_at":"2026-11-27T08:35:00.428672+00:00","staged_xid":"779","started_at":"2026-11-27T08:34:44.312247+00:00","triggered_by":"operator","validation":{"sha256":"50e3a82309b533eea820c95391ba275886ec615bcee812afaa0897e343f2cc81"}}},"says":{}}', '0ff8551117401853a6d53ee2a98c12e2e1ed70ab6abdf68c07795933f98d5924', '59024cf5b6a356dc67a397d55d19b2884a6cf7ffc70f1e14bcf8c78e819ffc4e', '39e117f71477c1489e81aa7a269facf3fe84a2c8f2e102266dddd8188db34f78', 'cc3159c86eb46c4d', 'VSJzi4G/+yK3LAsV51WM+NP3LvKDMr8AZo38WWKsrOY7Uq8rAn3vjzHwHWIlYKtdXK5kCJHQOjX4f9QYR767Dw==', '2026-11-27 08:35:12.497739+00');
INSERT INTO cutover.chain VALUES (4, 'approval', 'r20261120_090000_2003b617a03206f3438483fc66bf63ce', '{"approvals 1"}', '{"rows":{"approvals 1":{"action":"swap","approval_id":1,"approved_by":"reviewer","approved_by_id":"2","comment":null,"consumed_at":null,"consumed_by":null,"decided_at":"2026-11-27T08:35:13.272879+00:00","decision":"approve","expires_at":"2026-11-27T09:35:13.272879+00:00","fingerprint":"de6d077de4e7782c8d74d8e1caf03e984d5a1dd909a4ceae87b817001676ca58","recorded_at":"2026-11-27T08:35:15.611651+00:00","run":"r20261120_090000_2003b617a03206f3438483fc66bf63ce","task_id":"approve","triggered_by":"operator","try_number":11}},"says":{}}', '578afaad2c8a701a39ca3a5282fbf6d9a15d1b5083deedbdaadc0580b0960bf4', '39e117f71477c1489e81aa7a269facf3fe84a2c8f2e102266dddd8188db34f78', 'd048fd2692e91c7d363aa1098c6540a3f0fa7d155dd739760e11fa61cfb0cead', 'cc3159c86eb46c4d', '6NvXSGWNfpvxJrsuqsz/OmxvQDmFAPSW3Tk2nGTVAN3SHpkz0IDhu/FH6VxWNJwUxWLRHijEQ5DO1XV/DWG4DQ==', '2026-11-27 08:35:15.656882+00');
INSERT INTO cutover.chain VALUES (5, 'swap', 'r20261120_090000_2003b617a03206f3438483fc66bf63ce', '{"approvals 1","ledger 1"}', '{"rows":{"approvals 1":{"action":"swap","approval_id":1,"approved_by":"reviewer","approved_by_id":"2","comment":null,"consumed_at":"2026-11-27T08:35:22.480021+00:00","consumed_by":"swap of r20261120_090000_2003b617a03206f3438483fc66bf63ce","decided_at":"2026-11-27T08:35:13.272879+00:00","decision":"approve","expires_at":"2026-11-27T09:35:13.272879+00:00","fingerprint":"de6d077de4e7782c8d74d8e1caf03e984d5a1dd909a4ceae87b817001676ca58","recorded_at":"2026-11-27T08:35:15.611651+00:00","run":"r20261120_090000_2003b617a03206f3438483fc66bf63ce","task_id":"approve","triggered_by":"operator","try_number":11},"ledger 1":{"action":"swap","approval_id":1,"approved_by":"reviewer","attempts":1,"backup_schema":"backup_r20261120_090000_2003b617a03206f3438483fc66bf63ce","carried":[],"entry":1,"fingerprint":"de6d077de4e7782c8d74d8e1caf03e984d5a1dd909a4ceae87b817001676ca58","hash":"3c80f5920f3afab652686d9cbabade6aba6db4dfe7214b634ee79dd55a26b4db","locked_at":"2026-11-27T08:35:23.477354+00:00","migration":"tiny","previous_hash":null,"recorded_at":"2026-11-27T08:35:23.66607+00:00","report":{"sha256":"cb5f442b81e6b8b49d3fe71adabce3397f390a9644fb485dc75064793388a88d"},"run":"r20261120_090000_2003b617a03206f3438483fc66bf63ce","snapshot":"812:812:","started_at":"2026-11-27T08:35:21.471124+00:00","tables":[{"incoming":16962,"name":"people","outgoing":16393,"schema":"public"},{"incoming":16967,"name":"orders","outgoing":16400,"schema":"public"}],"undoes":null,"xid":"812"}},"says":{}}', 'fd4a2301def2c0faa68c3ff144a11bdcd730bad433db0ae7fba83c098c81d411', 'd048fd2692e91c7d363aa1098c6540a3f0fa7d155dd739760e11fa61cfb0cead', '2b4732f947c5058ed5276248563bf34d414dab3827febe304a17cc9262ecd521', 'cc3159c86eb46c4d', 'vQSFqdqTG22EzQp6EBS/OKYE3z3QGY5z7spOYCIrqBi/Xp5O10wLb6drAiMp3Zj/ylx1lLFHzbRm1ICRXTswDQ==', '2026-11-27 08:35:23.668987+00');
INSERT INTO cutover.chain VALUES (6, 'certificate', 'r20261120_090000_2003b617a03206f3438483fc66bf63ce', '{"certificate r20261120_090000_2003b617a03206f3438483fc66bf63ce"}', '{"rows":{"certificate r20261120_090000_2003b617a03206f3438483fc66bf63ce":{"done":["drop trigger cutover_capture on backup_r20261120_090000_2003b617a03206f3438483fc66bf63ce.orders","drop trigger cutover_capture on backup_r20261120_090000_2003b617a03206f3438483fc66bf63ce.people"],"inventory_hash":"77f56c2fe774538bffdb19fa1c56800eba5b292126d0c96c5cc807c6fb13937e","issued_at":"2026-11-27T08:35:24.020541+00:00","left_behind":[],"not_validated":[],"run":"r20261120_090000_2003b617a03206f3438483fc66bf63ce"}},"says":{}}', '815080d91cdf0adf0317740ec8d3be220aa604ba920d08c757fbcf65a2d3328e', '2b4732f947c5058ed5276248563bf34d414dab3827febe304a17cc9262ecd521', '9ee0eaa5fe6f0e961816bfaa4a6281833d6dafe7aa60c693d9069cb09f5eb132', 'cc3159c86eb46c4d', 'h1LGPMSA/lmzXiGjdOcEntPooh+OwiuDObpMTdb/gFoDFXkSKN9W6QcEENBO/4mb687xQkz6oy7/VpdAIhbuDw==', '2026-11-27 08:35:24.046207+00');
INSERT INTO cutover.chain VALUES (7, 'certificate', 'r20261120_090000_2003b617a03206f3438483fc66bf63ce', '{"certificate r20261120_090000_2003b617a03206f3438483fc66bf63ce"}', '{"rows":{"certificate r20261120_090000_2003b617a03206f3438483fc66bf63ce":{"done":[],"inventory_hash":"77f56c2fe774538bffdb19fa1c56800eba5b292126d0c96c5cc807c6fb13937e","issued_at":"2026-11-27T08:35:25.115161+00:00","left_behind":[],"not_validated":[],"run":"r20261120_090000_2003b617a03206f3438483fc66bf63ce"}},"says":{}}', 'ca7b60665ef785d91504c2b3bdeeab7164e8ef8f50ff0d84c3c208df92cfa201', '9ee0eaa5fe6f0e961816bfaa4a6281833d6dafe7aa60c693d9069cb09f5eb132', 'b4fd374b09dc96ad5522cfc7410d361e24b0152c0f23bda51753b6a03b97ac30', 'cc3159c86eb46c4d', 'M/C9lDs/pupSz/oVbHuIwA4Q1NCF6iLKfv13nG6lTIG2+/z6L1sG9b8jH5iPSdV+MgZwR6N6ASiuXcbMOXA1AQ==', '2026-11-27 08:35:25.146843+00');

INSERT INTO cutover.changelog OVERRIDING SYSTEM VALUE VALUES (1, '820', 16962, 'insert', NULL, NULL, '2026-11-27 08:35:28.240125+00', 3, NULL, '(7,Gil,70)');
INSERT INTO cutover.changelog OVERRIDING SYSTEM VALUE VALUES (2, '821', 16962, 'update', NULL, NULL, '2026-11-27 08:35:28.269679+00', 3, '(1,Ana,10)', '(1,Ana,11)');

INSERT INTO cutover.erasure_key VALUES (true, '\xfeb554aba1ab4ec8ad655d37c52b68900c0ee72107344cebb42a0438efb5f61f1c9695cbb3cb485d911d128b3681b09d');

INSERT INTO cutover.ledger OVERRIDING SYSTEM VALUE VALUES (1, 'r20261120_090000_2003b617a03206f3438483fc66bf63ce', 'tiny', 'swap', NULL, 'backup_r20261120_090000_2003b617a03206f3438483fc66bf63ce', 'de6d077de4e7782c8d74d8e1caf03e984d5a1dd909a4ceae87b817001676ca58', 1, 'reviewer', '812:812:', '812', '2026-11-27 08:35:21.471124+00', '2026-11-27 08:35:23.477354+00', '2026-11-27 08:35:23.66607+00', 1, '[{"name": "people", "schema": "public", "incoming": 16962, "outgoing": 16393}, {"name": "orders", "schema": "public", "incoming": 16967, "outgoing": 16400}]', '[]', '{"facts": 12, "attach": [], "refresh": [], "watched": {"functions": [], "relations": ["\"public\".\"people\"", "\"public\".\"orders\""]}, "coverage": [{"kind": "content", "name": "\"staging\".\"orders\"", "rows": 2, "digest": "5401a0673f106142bc60e28925cd04dab5c6659b6e1e7587afbe459e4ebfe6d6"}, {"kind": "content", "name": "\"staging\".\"people\"", "rows": 2, "digest": "b8f786b70e220c1a6ee7a62a73768caf78fec38434b12b200e525c78821422c7"}, {"kind": "definition", "name": "\"staging\".\"orders\"", "digest": "34e4d9f7a31975a2f96e8a9646499083a3e9d14ebb80a6c40ff6daf76c43ac23"}, {"kind": "definition", "name": "\"staging\".\"people\"", "digest": "7a7996d4e00bb195ada2aaed4ad40fbd46aada85e4cfbf663086eeb5630304a5"}, {"kind": "sequences", "name": "", "digest": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}, {"kind": "snapshot", "name": "", "digest": "12327fba1af1124276b352ed2e6e9d0c0c1cffc20bb31327876948ef81dbb024"}, {"kind": "order", "name": "", "digest": "7af73cd6b60d94fb9d190e7643b73c661ec509dc4577eebac22b4201edddd9a6"}, {"kind": "parameters", "name": "", "digest": "8e7d93ad47d7f65c00aa5f75b319d53ad7fbba3506ce35a91b6b5b4ebc145d76"}, {"kind": "validation", "name": "", "digest": "a6b5190e604a69ab28516b122b1bc511727ec9d45520ea0246aa29011e933996"}, {"kind": "reconciliation", "name": "", "digest": "ce6558960ff0913e86513e872bdd93bf836981d16dff0eee8d8d8d37c57d3972"}, {"kind": "review", "name": "", "digest": "40d56bd7502e04a8b2e4dec17dfbcf0b76911e70f16655ca5fb34a8bbd35dc5b"}, {"kind": "migration", "name": "", "digest": "92b59d29c635df4737b3537da1f656b3b703616165bf6c1fb8f64024e4226098"}, {"kind": "engine", "name": "", "digest": "43c93a5d3b8cc8ae01d92261477b0462e09f9127636afc3c149d273f438395fd"}], "validate": [], "filenodes": {"16962": 16962, "16967": 16967}, "inventory": "77f56c2fe774538bffdb19fa1c56800eba5b292126d0c96c5cc807c6fb13937e", "statements": [["30_move_out", "public.people", "alter table public.people set schema backup_r20261120_090000_2003b617a03206f3438483fc66bf63ce"], ["30_move_out", "public.orders", "alter table public.orders set schema backup_r20261120_090000_2003b617a03206f3438483fc66bf63ce"], ["40_move_in", "staging.people", "alter table staging.people set schema public"], ["40_move_in", "staging.orders", "alter table staging.orders set schema public"], ["80_trigger_states", "\"public\".\"people\"", "alter table \"public\".\"people\" enable always trigger cutover_capture, enable always trigger cutover_capture_truncate"], ["80_trigger_states", "\"public\".\"orders\"", "alter table \"public\".\"orders\" enable always trigger cutover_capture, enable always trigger cutover_capture_truncate"]]}', NULL, '3c80f5920f3afab652686d9cbabade6aba6db4dfe7214b634ee79dd55a26b4db');

INSERT INTO cutover.phase OVERRIDING SYSTEM VALUE VALUES (2, 'r20261120_090000_2003b617a03206f3438483fc66bf63ce', 'preflight', true, '{}', '{"bytes": 40960, "tables": ["public.people", "public.orders"], "dependents": {}, "server_version": "16.14"}', 'preflight.check', 1, '2026-11-27 08:34:49.059274+00', '743');
INSERT INTO cutover.phase OVERRIDING SYSTEM VALUE VALUES (4, 'r20261120_090000_2003b617a03206f3438483fc66bf63ce', 'capture', true, '{2}', '{}', 'freeze.capture', 2, '2026-11-27 08:34:51.347755+00', '748');
INSERT INTO cutover.phase OVERRIDING SYSTEM VALUE VALUES (6, 'r20261120_090000_2003b617a03206f3438483fc66bf63ce', 'snapshot', true, '{4}', '{"rows": {"people": 2}, "columns": {"orders": ["id", "person"], "people": ["id", "name", "amount"]}, "snapshot": "750:750:"}', 'freeze.snapshot', 3, '2026-11-27 08:34:53.944369+00', '750');
INSERT INTO cutover.phase OVERRIDING SYSTEM VALUE VALUES (8, 'r20261120_090000_2003b617a03206f3438483fc66bf63ce', 'prepare', true, '{6}', '{}', 'transform.prepare', 4, '2026-11-27 08:34:55.09531+00', '753');
INSERT INTO cutover.phase OVERRIDING SYSTEM VALUE VALUES (10, 'r20261120_090000_2003b617a03206f3438483fc66bf63ce', 'load.people', false, '{8}', '{"why": "the table was made anew and is not filled", "unfinished": true}', 'transform.people', 5, '2026-11-27 08:34:56.159236+00', '754');
INSERT INTO cutover.phase OVERRIDING SYSTEM VALUE VALUES (12, 'r20261120_090000_2003b617a03206f3438483fc66bf63ce', 'load.people', true, '{8}', '{"rows": 2}', 'transform.people', 5, '2026-11-27 08:34:56.483259+00', '755');
INSERT INTO cutover.phase OVERRIDING SYSTEM VALUE VALUES (14, 'r20261120_090000_2003b617a03206f3438483fc66bf63ce', 'load.orders', false, '{8,12}', '{"why": "the table was made anew and is not filled", "unfinished": true}', 'transform.orders', 6, '2026-11-27 08:34:57.187896+00', '756');
INSERT INTO cutover.phase OVERRIDING SYSTEM VALUE VALUES (16, 'r20261120_090000_2003b617a03206f3438483fc66bf63ce', 'load.orders', true, '{8,12}', '{"rows": 2}', 'transform.orders', 6, '2026-11-27 08:34:57.439174+00', '757');
INSERT INTO cutover.phase OVERRIDING SYSTEM VALUE VALUES (18, 'r20261120_090000_2003b617a03206f3438483fc66bf63ce', 'keys', true, '{12,16}', '{"staged_xid": "779"}', 'transform.keys', 7, '2026-11-27 08:35:00.45529+00', '779');
INSERT INTO cutover.phase OVERRIDING SYSTEM VALUE VALUES (20, 'r20261120_090000_2003b617a03206f3438483fc66bf63ce', 'validation', true, '{18}', '{"why": null, "result": "a6b5190e604a69ab28516b122b1bc511727ec9d45520ea0246aa29011e933996", "staged": "18539b9a43223ee64409d4131ff5214cbf2333d38ef35c49ae3ec5517ab58876"}', 'validate.suites', 8, '2026-11-27 08:35:01.776709+00', '780');
INSERT INTO cutover.phase OVERRIDING SYSTEM VALUE VALUES (22, 'r20261120_090000_2003b617a03206f3438483fc66bf63ce', 'review', true, '{20}', '{"fingerprint": "de6d077de4e7782c8d74d8e1caf03e984d5a1dd909a4ceae87b817001676ca58"}', 'review.build', 9, '2026-11-27 08:35:07.701371+00', '783');
INSERT INTO cutover.phase OVERRIDING SYSTEM VALUE VALUES (24, 'r20261120_090000_2003b617a03206f3438483fc66bf63ce', 'question', true, '{22}', '{"until": "2026-11-27T09:35:12.351456+00:00", "fingerprint": "de6d077de4e7782c8d74d8e1caf03e984d5a1dd909a4ceae87b817001676ca58"}', 'approve', 10, '2026-11-27 08:35:12.420883+00', '784');
INSERT INTO cutover.phase OVERRIDING SYSTEM VALUE VALUES (26, 'r20261120_090000_2003b617a03206f3438483fc66bf63ce', 'verify', true, '{}', '{"entry": 1, "backup_schema": "backup_r20261120_090000_2003b617a03206f3438483fc66bf63ce", "clients_waited_ms": 188.7}', 'verify.certificate', 13, '2026-11-27 08:35:25.363367+00', '819');

INSERT INTO cutover.run VALUES ('r20261120_090000_2003b617a03206f3438483fc66bf63ce', 'tiny', 'tiny', 'manual__2026-11-20T09:00:00+00:00', 'operator', '{"dry_run": false, "on_drift": "carry", "carry_limit": 100, "approval_hours": 1}', '2026-11-27 08:34:44.312247+00', '2026-11-27 08:34:53.922741+00', '750:750:', '2026-11-27 08:35:00.428672+00', '779', 'de6d077de4e7782c8d74d8e1caf03e984d5a1dd909a4ceae87b817001676ca58', '{"run": "r20261120_090000_2003b617a03206f3438483fc66bf63ce", "phase": "staging", "checks": [{"check": "amounts", "title": "Nobody owes less than nothing", "sample": [], "success": true, "offending": 0}, {"check": "rejects_over_limit", "title": "Sources of which more rows were rejected than a launch may leave behind: odd rows are few; many are a mistake", "sample": [], "success": true, "offending": 0}], "digest": "7cb15394fdd308ce82badc7ef32f7633ec3788787d4c8264f4261b7148629241", "suites": [], "success": true, "manifest": "0000000000000000000000000000000000000000000000000000000000000000", "data_docs": "docs", "parameters": {"rejects_rows": 100, "rejects_share": 0.05}}', '{"run": "r20261120_090000_2003b617a03206f3438483fc66bf63ce", "tables": [{"name": "people", "added": 1, "after": 2, "before": 1, "changed": 1, "removed": 0}, {"name": "orders", "added": 2, "after": 2, "before": 0, "changed": 0, "removed": 0}], "figures": [], "leaving": [], "samples": {"orders": {"added": [{"id": 1, "person": 1}, {"id": 2, "person": 2}], "changed": [], "removed": []}, "people": {"added": [{"id": 2, "name": "Ben", "amount": 20}], "changed": [{"key": {"id": 1}, "columns": {"amount": {"after": 10, "before": 1}}}], "removed": []}}, "captured": 0, "warnings": [], "frozen_at": "2026-11-27T08:34:53.922741+00:00", "migration": "tiny", "dependents": [], "lock_times": [], "validation": {"run": "r20261120_090000_2003b617a03206f3438483fc66bf63ce", "phase": "staging", "checks": [{"check": "amounts", "title": "Nobody owes less than nothing", "sample": [], "success": true, "offending": 0}, {"check": "rejects_over_limit", "title": "Sources of which more rows were rejected than a launch may leave behind: odd rows are few; many are a mistake", "sample": [], "success": true, "offending": 0}], "digest": "7cb15394fdd308ce82badc7ef32f7633ec3788787d4c8264f4261b7148629241", "suites": [], "success": true, "manifest": "0000000000000000000000000000000000000000000000000000000000000000", "data_docs": "docs", "parameters": {"rejects_rows": 100, "rejects_share": 0.05}}, "fingerprint": "de6d077de4e7782c8d74d8e1caf03e984d5a1dd909a4ceae87b817001676ca58", "triggered_by": "operator", "reconciliation": []}', '2026-11-27 08:35:23.66607+00', '{"items": [{"kind": "content", "name": "\"staging\".\"orders\"", "rows": 2, "digest": "5401a0673f106142bc60e28925cd04dab5c6659b6e1e7587afbe459e4ebfe6d6"}, {"kind": "content", "name": "\"staging\".\"people\"", "rows": 2, "digest": "b8f786b70e220c1a6ee7a62a73768caf78fec38434b12b200e525c78821422c7"}, {"kind": "definition", "name": "\"staging\".\"orders\"", "digest": "34e4d9f7a31975a2f96e8a9646499083a3e9d14ebb80a6c40ff6daf76c43ac23"}, {"kind": "definition", "name": "\"staging\".\"people\"", "digest": "7a7996d4e00bb195ada2aaed4ad40fbd46aada85e4cfbf663086eeb5630304a5"}, {"kind": "sequences", "name": "", "digest": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}, {"kind": "snapshot", "name": "", "digest": "12327fba1af1124276b352ed2e6e9d0c0c1cffc20bb31327876948ef81dbb024"}, {"kind": "order", "name": "", "digest": "7af73cd6b60d94fb9d190e7643b73c661ec509dc4577eebac22b4201edddd9a6"}, {"kind": "parameters", "name": "", "digest": "8e7d93ad47d7f65c00aa5f75b319d53ad7fbba3506ce35a91b6b5b4ebc145d76"}, {"kind": "validation", "name": "", "digest": "a6b5190e604a69ab28516b122b1bc511727ec9d45520ea0246aa29011e933996"}, {"kind": "reconciliation", "name": "", "digest": "ce6558960ff0913e86513e872bdd93bf836981d16dff0eee8d8d8d37c57d3972"}, {"kind": "review", "name": "", "digest": "40d56bd7502e04a8b2e4dec17dfbcf0b76911e70f16655ca5fb34a8bbd35dc5b"}, {"kind": "migration", "name": "", "digest": "92b59d29c635df4737b3537da1f656b3b703616165bf6c1fb8f64024e4226098"}, {"kind": "engine", "name": "", "digest": "43c93a5d3b8cc8ae01d92261477b0462e09f9127636afc3c149d273f438395fd"}], "tables": {"\"staging\".\"orders\"": {"rows": 2, "facts": {"relation *": "r owner=postgres persistence=p row security=false/false replica identity=d partition=false method=heap grants=postgres=arwdDxt/postgres", "column *.id": "#1 integer not null storage=p", "column *.person": "#2 integer storage=p", "index *:orders_pkey": "CREATE UNIQUE INDEX orders_pkey ON staging.orders USING btree (id)", "constraint *:orders_pkey": "PRIMARY KEY (id)", "constraint *:orders_person_fkey": "FOREIGN KEY (person) REFERENCES staging.people(id)"}, "guard": {"oid": 16967, "rows": 2, "later": [], "shape": "820d63c32769c56ed5d1b34a462eac7a7f0ac490152e16773eb792c6e6680879", "horizon": "781"}, "content": "5401a0673f106142bc60e28925cd04dab5c6659b6e1e7587afbe459e4ebfe6d6"}, "\"staging\".\"people\"": {"rows": 2, "facts": {"relation *": "r owner=postgres persistence=p row security=false/false replica identity=d partition=false method=heap grants=postgres=arwdDxt/postgres", "column *.id": "#1 integer not null storage=p", "column *.name": "#2 text collation=\"default\" storage=x", "column *.amount": "#3 integer storage=p", "index *:people_pkey": "CREATE UNIQUE INDEX people_pkey ON staging.people USING btree (id)", "constraint *:people_pkey": "PRIMARY KEY (id)"}, "guard": {"oid": 16962, "rows": 2, "later": [], "shape": "cbd135638beeab36d5cd4b67921590918e7a1da126193583c3a67840d436fa16", "horizon": "781"}, "content": "b8f786b70e220c1a6ee7a62a73768caf78fec38434b12b200e525c78821422c7"}}}', '2026-11-27 08:35:12.347249+00', '{"16393": 16393, "16400": 16400}');

INSERT INTO cutover.turn VALUES ('install');
INSERT INTO cutover.turn VALUES ('swap');

INSERT INTO cutover.workspace VALUES ('staging', 'r20261120_090000_2003b617a03206f3438483fc66bf63ce', '2026-11-27 08:34:52.983549+00');

INSERT INTO input.people VALUES (1, 'Ana', 10);
INSERT INTO input.people VALUES (2, 'Ben', 20);

INSERT INTO public.orders VALUES (1, 1);
INSERT INTO public.orders VALUES (2, 2);

INSERT INTO public.people VALUES (2, 'Ben', 20);
INSERT INTO public.people VALUES (7, 'Gil', 70);
INSERT INTO public.people VALUES (1, 'Ana', 11);

INSERT INTO raw.people VALUES (1, 'Ana', 10);
INSERT INTO raw.people VALUES (2, 'Ben', 20);

INSERT INTO staging.person VALUES (1, 'Ana', 10);
INSERT INTO staging.person VALUES (2, 'Ben', 20);

SELECT pg_catalog.setval('cutover.announcement_announcement_id_seq', 1, false);

SELECT pg_catalog.setval('cutover.approvals_approval_id_seq', 1, true);

SELECT pg_catalog.setval('cutover.audience_audience_id_seq', 1, false);

SELECT pg_catalog.setval('cutover.changelog_change_id_seq', 2, true);

SELECT pg_catalog.setval('cutover.erasure_erasure_id_seq', 1, false);

SELECT pg_catalog.setval('cutover.ledger_entry_seq', 1, true);

SELECT pg_catalog.setval('cutover.notice_notice_id_seq', 1, false);

SELECT pg_catalog.setval('cutover.outlook_outlook_id_seq', 1, false);

SELECT pg_catalog.setval('cutover.phase_record_id_seq', 26, true);

SELECT pg_catalog.setval('cutover.quarantine_quarantine_id_seq', 1, false);

SELECT pg_catalog.setval('cutover.rejects_reject_id_seq', 1, false);

SELECT pg_catalog.setval('cutover.set_aside_set_aside_id_seq', 1, false);

SELECT pg_catalog.setval('cutover.sync_adjustment_adjustment_id_seq', 1, false);

SELECT pg_catalog.setval('cutover.sync_sync_id_seq', 1, false);

SELECT pg_catalog.setval('cutover.watch_watch_id_seq', 1, false);

ALTER TABLE ONLY backup_r20261120_090000_2003b617a03206f3438483fc66bf63ce.orders
    ADD CONSTRAINT orders_pkey PRIMARY KEY (id);

ALTER TABLE ONLY backup_r20261120_090000_2003b617a03206f3438483fc66bf63ce.people
    ADD CONSTRAINT people_pkey PRIMARY KEY (id);

ALTER TABLE ONLY cutover.announcement
    ADD CONSTRAINT announcement_migration_campaign_channel_person_key UNIQUE (migration, campaign, channel, person);

ALTER TABLE ONLY cutover.announcement
    ADD CONSTRAINT announcement_pkey PRIMARY KEY (announcement_id);

ALTER TABLE ONLY cutover.approvals
    ADD CONSTRAINT approvals_pkey PRIMARY KEY (approval_id);

ALTER TABLE ONLY cutover.audience
    ADD CONSTRAINT audience_pkey PRIMARY KEY (audience_id);

ALTER TABLE ONLY cutover.audience
    ADD CONSTRAINT audience_run_channel_person_key UNIQUE (run, channel, person);

ALTER TABLE ONLY cutover.certificate
    ADD CONSTRAINT certificate_pkey PRIMARY KEY (run);

ALTER TABLE ONLY cutover.chain
    ADD CONSTRAINT chain_pkey PRIMARY KEY (link);

ALTER TABLE ONLY cutover.changelog
    ADD CONSTRAINT changelog_pkey PRIMARY KEY (change_id);

ALTER TABLE ONLY cutover.erasure_key
    ADD CONSTRAINT erasure_key_pkey PRIMARY KEY (one);

ALTER TABLE ONLY cutover.erasure
    ADD CONSTRAINT erasure_pkey PRIMARY KEY (erasure_id);

ALTER TABLE ONLY cutover.late_write
    ADD CONSTRAINT late_write_pkey PRIMARY KEY (run, moment, source);

ALTER TABLE ONLY cutover.ledger
    ADD CONSTRAINT ledger_pkey PRIMARY KEY (entry);

ALTER TABLE ONLY cutover.ledger
    ADD CONSTRAINT ledger_run_key UNIQUE (run);

ALTER TABLE ONLY cutover.lineage
    ADD CONSTRAINT lineage_pkey PRIMARY KEY (table_name);

ALTER TABLE ONLY cutover.moved_row
    ADD CONSTRAINT moved_row_pkey PRIMARY KEY (run, table_name, old_key);

ALTER TABLE ONLY cutover.notice
    ADD CONSTRAINT notice_pkey PRIMARY KEY (notice_id);

ALTER TABLE ONLY cutover.outlook
    ADD CONSTRAINT outlook_pkey PRIMARY KEY (outlook_id);

ALTER TABLE ONLY cutover.phase
    ADD CONSTRAINT phase_pkey PRIMARY KEY (record_id);

ALTER TABLE ONLY cutover.quarantine
    ADD CONSTRAINT quarantine_pkey PRIMARY KEY (quarantine_id);

ALTER TABLE ONLY cutover.quarantine
    ADD CONSTRAINT quarantine_run_change_id_key UNIQUE (run, change_id);

ALTER TABLE ONLY cutover.reading
    ADD CONSTRAINT reading_pkey PRIMARY KEY (run, source);

ALTER TABLE ONLY cutover.reconciliation
    ADD CONSTRAINT reconciliation_pkey PRIMARY KEY (run, source);

ALTER TABLE ONLY cutover.rejects
    ADD CONSTRAINT rejects_pkey PRIMARY KEY (reject_id);

ALTER TABLE ONLY cutover.released_key
    ADD CONSTRAINT released_key_pkey PRIMARY KEY (backup_schema, table_name, constraint_name);

ALTER TABLE ONLY cutover.run
    ADD CONSTRAINT run_dag_id_dag_run_id_key UNIQUE (dag_id, dag_run_id);

ALTER TABLE ONLY cutover.run
    ADD CONSTRAINT run_pkey PRIMARY KEY (run);

ALTER TABLE ONLY cutover.set_aside
    ADD CONSTRAINT set_aside_pkey PRIMARY KEY (set_aside_id);

ALTER TABLE ONLY cutover.suppression
    ADD CONSTRAINT suppression_pkey PRIMARY KEY (recipient, reason);

ALTER TABLE ONLY cutover.sync_adjustment
    ADD CONSTRAINT sync_adjustment_pkey PRIMARY KEY (adjustment_id);

ALTER TABLE ONLY cutover.sync_page
    ADD CONSTRAINT sync_page_pkey PRIMARY KEY (sync_id, page_no);

ALTER TABLE ONLY cutover.sync
    ADD CONSTRAINT sync_pkey PRIMARY KEY (sync_id);

ALTER TABLE ONLY cutover.sync_state
    ADD CONSTRAINT sync_state_pkey PRIMARY KEY (source);

ALTER TABLE ONLY cutover.sync_turn
    ADD CONSTRAINT sync_turn_pkey PRIMARY KEY (source);

ALTER TABLE ONLY cutover.sync_window
    ADD CONSTRAINT sync_window_pkey PRIMARY KEY (sync_id, window_no);

ALTER TABLE ONLY cutover.timeline
    ADD CONSTRAINT timeline_pkey PRIMARY KEY (run, step);

ALTER TABLE ONLY cutover.turn
    ADD CONSTRAINT turn_pkey PRIMARY KEY (name);

ALTER TABLE ONLY cutover.watch
    ADD CONSTRAINT watch_pkey PRIMARY KEY (watch_id);

ALTER TABLE ONLY cutover.watcher
    ADD CONSTRAINT watcher_pkey PRIMARY KEY (run);

ALTER TABLE ONLY cutover.workspace
    ADD CONSTRAINT workspace_pkey PRIMARY KEY (workspace);

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.people
    ADD CONSTRAINT people_pkey PRIMARY KEY (id);

ALTER TABLE ONLY raw.people
    ADD CONSTRAINT people_pkey PRIMARY KEY (id);

CREATE INDEX announcement_address ON cutover.announcement USING btree (address);

CREATE INDEX announcement_letter ON cutover.announcement USING btree (letter);

CREATE INDEX announcement_run ON cutover.announcement USING btree (run, channel, state);

CREATE UNIQUE INDEX approvals_one_per_try ON cutover.approvals USING btree (run, action, task_id, try_number);

CREATE INDEX chain_run ON cutover.chain USING btree (run);

CREATE INDEX changelog_relid_xid ON cutover.changelog USING btree (relid, xid);

CREATE INDEX notice_run ON cutover.notice USING btree (run);

CREATE INDEX outlook_run ON cutover.outlook USING btree (run);

CREATE INDEX phase_of_run ON cutover.phase USING btree (run, step, record_id);

CREATE INDEX rejects_run ON cutover.rejects USING btree (run, source);

CREATE INDEX set_aside_row ON cutover.set_aside USING btree (run, relid, row_id);

CREATE INDEX set_aside_waiting ON cutover.set_aside USING btree (run) WHERE (put_back_by IS NULL);

CREATE INDEX sync_adjustment_by_row ON cutover.sync_adjustment USING btree (source, source_id);

CREATE INDEX sync_by_source ON cutover.sync USING btree (source, sync_id);

CREATE UNIQUE INDEX sync_one_unfinished ON cutover.sync USING btree (source) WHERE (state = ANY (ARRAY['running'::text, 'failed'::text]));

CREATE INDEX watch_run ON cutover.watch USING btree (run, name, watch_id);

CREATE TRIGGER cutover_capture_truncate AFTER TRUNCATE ON backup_r20261120_090000_2003b617a03206f3438483fc66bf63ce.orders FOR EACH STATEMENT EXECUTE FUNCTION cutover.capture();

ALTER TABLE backup_r20261120_090000_2003b617a03206f3438483fc66bf63ce.orders ENABLE ALWAYS TRIGGER cutover_capture_truncate;

CREATE TRIGGER cutover_capture_truncate AFTER TRUNCATE ON backup_r20261120_090000_2003b617a03206f3438483fc66bf63ce.people FOR EACH STATEMENT EXECUTE FUNCTION cutover.capture();

ALTER TABLE backup_r20261120_090000_2003b617a03206f3438483fc66bf63ce.people ENABLE ALWAYS TRIGGER cutover_capture_truncate;

CREATE TRIGGER chain_ledger BEFORE INSERT OR DELETE OR UPDATE ON cutover.ledger FOR EACH ROW EXECUTE FUNCTION cutover.chain_ledger();

CREATE TRIGGER keep_all_certificates BEFORE TRUNCATE ON cutover.certificate FOR EACH STATEMENT EXECUTE FUNCTION cutover.keep_unchanged();

CREATE TRIGGER keep_all_runs BEFORE TRUNCATE ON cutover.run FOR EACH STATEMENT EXECUTE FUNCTION cutover.keep_unchanged();

CREATE TRIGGER keep_approval BEFORE DELETE OR UPDATE ON cutover.approvals FOR EACH ROW EXECUTE FUNCTION cutover.keep_approval();

CREATE TRIGGER keep_certificates BEFORE DELETE ON cutover.certificate FOR EACH ROW EXECUTE FUNCTION cutover.keep_unchanged();

CREATE TRIGGER keep_chain BEFORE DELETE OR UPDATE ON cutover.chain FOR EACH ROW EXECUTE FUNCTION cutover.keep_unchanged();

CREATE TRIGGER keep_evidence BEFORE INSERT OR DELETE OR UPDATE ON cutover.reading FOR EACH ROW EXECUTE FUNCTION cutover.keep_evidence();

CREATE TRIGGER keep_evidence BEFORE INSERT OR DELETE OR UPDATE ON cutover.reconciliation FOR EACH ROW EXECUTE FUNCTION cutover.keep_evidence();

CREATE TRIGGER keep_evidence BEFORE INSERT OR DELETE OR UPDATE ON cutover.rejects FOR EACH ROW EXECUTE FUNCTION cutover.keep_evidence();

CREATE TRIGGER keep_evidence_delete BEFORE DELETE ON cutover.late_write FOR EACH ROW WHEN ((old.moment = 'review'::text)) EXECUTE FUNCTION cutover.keep_evidence();

CREATE TRIGGER keep_evidence_insert BEFORE INSERT ON cutover.late_write FOR EACH ROW WHEN ((new.moment = 'review'::text)) EXECUTE FUNCTION cutover.keep_evidence();

CREATE TRIGGER keep_evidence_update BEFORE UPDATE ON cutover.late_write FOR EACH ROW WHEN (((old.moment = 'review'::text) OR (new.moment = 'review'::text))) EXECUTE FUNCTION cutover.keep_evidence();

CREATE TRIGGER keep_phase BEFORE INSERT OR DELETE OR UPDATE ON cutover.phase FOR EACH ROW EXECUTE FUNCTION cutover.keep_phase();

CREATE TRIGGER keep_run BEFORE DELETE OR UPDATE ON cutover.run FOR EACH ROW EXECUTE FUNCTION cutover.keep_run();

CREATE TRIGGER keep_runs BEFORE DELETE ON cutover.run FOR EACH ROW EXECUTE FUNCTION cutover.keep_unchanged();

CREATE TRIGGER keep_whole_approvals BEFORE TRUNCATE ON cutover.approvals FOR EACH STATEMENT EXECUTE FUNCTION cutover.keep_unchanged();

CREATE TRIGGER keep_whole_chain BEFORE TRUNCATE ON cutover.chain FOR EACH STATEMENT EXECUTE FUNCTION cutover.keep_unchanged();

CREATE TRIGGER keep_whole_ledger BEFORE TRUNCATE ON cutover.ledger FOR EACH STATEMENT EXECUTE FUNCTION cutover.keep_unchanged();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON cutover.approvals FOR EACH STATEMENT EXECUTE FUNCTION cutover.refuse_truncate();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON cutover.late_write FOR EACH STATEMENT EXECUTE FUNCTION cutover.refuse_truncate();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON cutover.phase FOR EACH STATEMENT EXECUTE FUNCTION cutover.refuse_truncate();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON cutover.reading FOR EACH STATEMENT EXECUTE FUNCTION cutover.refuse_truncate();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON cutover.reconciliation FOR EACH STATEMENT EXECUTE FUNCTION cutover.refuse_truncate();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON cutover.rejects FOR EACH STATEMENT EXECUTE FUNCTION cutover.refuse_truncate();

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON cutover.run FOR EACH STATEMENT EXECUTE FUNCTION cutover.refuse_truncate();

CREATE TRIGGER cutover_capture AFTER INSERT OR DELETE OR UPDATE ON public.orders FOR EACH ROW EXECUTE FUNCTION cutover.capture_16967();

ALTER TABLE public.orders ENABLE ALWAYS TRIGGER cutover_capture;

CREATE TRIGGER cutover_capture AFTER INSERT OR DELETE OR UPDATE ON public.people FOR EACH ROW EXECUTE FUNCTION cutover.capture_16962();

ALTER TABLE public.people ENABLE ALWAYS TRIGGER cutover_capture;

CREATE TRIGGER cutover_capture_truncate AFTER TRUNCATE ON public.orders FOR EACH STATEMENT EXECUTE FUNCTION cutover.capture();

ALTER TABLE public.orders ENABLE ALWAYS TRIGGER cutover_capture_truncate;

CREATE TRIGGER cutover_capture_truncate AFTER TRUNCATE ON public.people FOR EACH STATEMENT EXECUTE FUNCTION cutover.capture();

ALTER TABLE public.people ENABLE ALWAYS TRIGGER cutover_capture_truncate;

ALTER TABLE ONLY backup_r20261120_090000_2003b617a03206f3438483fc66bf63ce.orders
    ADD CONSTRAINT orders_person_fkey FOREIGN KEY (person) REFERENCES backup_r20261120_090000_2003b617a03206f3438483fc66bf63ce.people(id);

ALTER TABLE ONLY cutover.announcement
    ADD CONSTRAINT announcement_run_fkey FOREIGN KEY (run) REFERENCES cutover.run(run);

ALTER TABLE ONLY cutover.audience
    ADD CONSTRAINT audience_run_fkey FOREIGN KEY (run) REFERENCES cutover.run(run);

ALTER TABLE ONLY cutover.certificate
    ADD CONSTRAINT certificate_run_fkey FOREIGN KEY (run) REFERENCES cutover.ledger(run);

ALTER TABLE ONLY cutover.ledger
    ADD CONSTRAINT ledger_undoes_fkey FOREIGN KEY (undoes) REFERENCES cutover.ledger(run);

ALTER TABLE ONLY cutover.phase
    ADD CONSTRAINT phase_run_fkey FOREIGN KEY (run) REFERENCES cutover.run(run);

ALTER TABLE ONLY cutover.reading
    ADD CONSTRAINT reading_full_sync_id_fkey FOREIGN KEY (full_sync_id) REFERENCES cutover.sync(sync_id);

ALTER TABLE ONLY cutover.reading
    ADD CONSTRAINT reading_sync_id_fkey FOREIGN KEY (sync_id) REFERENCES cutover.sync(sync_id);

ALTER TABLE ONLY cutover.sync_adjustment
    ADD CONSTRAINT sync_adjustment_sync_id_fkey FOREIGN KEY (sync_id) REFERENCES cutover.sync(sync_id);

ALTER TABLE ONLY cutover.sync_page
    ADD CONSTRAINT sync_page_sync_id_fkey FOREIGN KEY (sync_id) REFERENCES cutover.sync(sync_id);

ALTER TABLE ONLY cutover.sync_state
    ADD CONSTRAINT sync_state_last_full_sync_fkey FOREIGN KEY (last_full_sync) REFERENCES cutover.sync(sync_id);

ALTER TABLE ONLY cutover.sync_state
    ADD CONSTRAINT sync_state_last_sync_fkey FOREIGN KEY (last_sync) REFERENCES cutover.sync(sync_id);

ALTER TABLE ONLY cutover.sync_window
    ADD CONSTRAINT sync_window_sync_id_fkey FOREIGN KEY (sync_id) REFERENCES cutover.sync(sync_id);

ALTER TABLE ONLY cutover.watch
    ADD CONSTRAINT watch_run_fkey FOREIGN KEY (run) REFERENCES cutover.run(run);

ALTER TABLE ONLY cutover.watcher
    ADD CONSTRAINT watcher_run_fkey FOREIGN KEY (run) REFERENCES cutover.run(run);

ALTER TABLE ONLY cutover.workspace
    ADD CONSTRAINT workspace_run_fkey FOREIGN KEY (run) REFERENCES cutover.run(run);

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_person_fkey FOREIGN KEY (person) REFERENCES public.people(id);

REVOKE ALL ON FUNCTION cutover.apply(pair jsonb, columns text[], operation text, old_images text[], new_images text[], OUT affected bigint, OUT state text, OUT message text) FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.apply_one(pair jsonb, shape jsonb, change cutover.changelog, OUT affected bigint, OUT state text, OUT message text) FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.audience_digest(of_row cutover.audience) FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.capture() FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.capture_16393() FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.capture_16400() FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.capture_16962() FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.capture_16967() FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.capture_large(relid oid, operation text, old_row record, new_row record) FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.captured_row(change cutover.changelog, which text) FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.carry(this_run text, outgoing oid[], incoming oid[], since pg_snapshot, until pg_snapshot, except_xid xid8, careful boolean, prepared jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.collect_outside(this_run text, keys oid[], incoming_schema text, fixed oid[], policy jsonb, aside boolean, whole boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.drop_captures() FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.fields(image text, width integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.image_names(relation oid, attributes integer, width integer, since pg_snapshot) FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.image_width(image text) FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.is_seen(writer xid, since pg_snapshot) FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.keep_evidence() FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.keep_phase() FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.keep_run() FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.key_parts(key oid, OUT referring regclass, OUT referred regclass, OUT name text, OUT rule text, OUT complete text, OUT matches text, OUT assigned text[], OUT column_name text, OUT type_name text, OUT referred_name text, OUT referred_column text) FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.keyed_columns(relation oid) FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.last_column(relation regclass) FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.make_capture(relation oid) FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.make_fields(width integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.pair(outgoing oid, incoming oid, since pg_snapshot, except_xid xid8) FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.pending(tables oid[], since pg_snapshot, except_xid xid8) FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.person_digest(address text) FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.put_back(this_run text, of_migration text, undone text) FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.quiet_triggers(relation oid, states jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.read_earlier(pair jsonb, since pg_snapshot, until pg_snapshot, except_xid xid8) FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.readable(image text, names text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.rearranged(image text, width integer, places integer[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.require_not_asked(of_run text, what text) FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.restated(view oid, OUT before text, OUT after text) FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.set_aside(this_run text, pair jsonb, shape jsonb, change cutover.changelog, state text, message text) FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.set_outside_aside(this_run text, keys oid[], incoming_schema text) FROM PUBLIC;

REVOKE ALL ON FUNCTION cutover.unsubscribe(of_letter uuid) FROM PUBLIC;
