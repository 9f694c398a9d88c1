-- Rows of tables outside the set that lose what they refer to when the set is replaced, whole, and what was done to
-- each.
-- A value is kept as the text that its own type writes and reads again, under settings that are pinned where it is
-- made: exact for every type, and no table here stands in the way of a change to the application's types.
create table if not exists cutover.set_aside (
    set_aside_id bigint generated always as identity primary key,
    run text not null,
    -- the table (of a partitioned one the partition) and the key that led to the row
    relid oid not null,
    table_name text not null,
    key_name text not null,
    operation text not null check (operation in ('delete', 'move', 'set null', 'set default')),
    -- 0: it refers to the set; 1: to a row outside that goes for that reason; and so on
    level integer not null,
    columns text[] not null,
    values text[],
    -- what the row refers to instead, if it was moved
    new_key text,
    -- which version of the row it was: one that was written since is judged anew
    row_id tid not null,
    row_version text not null,
    set_aside_at timestamptz not null default clock_timestamp(),
    -- the run that put it back
    put_back_by text
);
-- the only one that begins with the run and the table: while rows are collected nothing is known of how many there are,
-- and with another one to choose from PostgreSQL reads all of a table's for each row that it looks up
drop index if exists cutover.set_aside_run;
create index if not exists set_aside_row on cutover.set_aside (run, relid, row_id);
create index if not exists set_aside_waiting on cutover.set_aside (run) where put_back_by is null;

-- Rows of the set that go on as another row: what refers to the one refers to the other after the swap. Filled by the
-- migration, by run; keys of one column.
create table if not exists cutover.moved_row (
    run text not null,
    table_name text not null,
    old_key text not null,
    new_key text not null,
    primary key (run, table_name, old_key)
);

-- A foreign key in the pieces that statements are made of: o is the referring row, i the one that it refers to. Of a
-- key of one column also the equalities that it goes by: `equality` of a referred value with a referring one,
-- `own_equality` of two referring ones.
drop function if exists cutover.key_parts(oid);
create function cutover.key_parts(
    key oid, out referring regclass, out referred regclass, out name text, out rule text, out complete text,
    out matches text, out equality text, out own_equality text,
    out assigned text[], out column_name text, out type_name text, out referred_name text, out referred_column text
) language sql stable set search_path = '' as $$
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
        min(format('operator(%I.%s)', s.nspname, p.oprname)),
        min(format('operator(%I.%s)', t.nspname, q.oprname)),
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
    cross join lateral unnest(k.conkey, k.confkey, k.conpfeqop, k.conffeqop)
        with ordinality as n (attnum, fattnum, operator, own_operator, position)
    join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = n.attnum
    join pg_catalog.pg_attribute as f on f.attrelid = k.confrelid and f.attnum = n.fattnum
    join pg_catalog.pg_operator as p on p.oid = n.operator
    join pg_catalog.pg_namespace as s on s.oid = p.oprnamespace
    join pg_catalog.pg_operator as q on q.oid = n.own_operator
    join pg_catalog.pg_namespace as t on t.oid = q.oprnamespace
    where k.oid = key_parts.key
    group by k.oid, k.conrelid, k.confrelid, k.conname, k.confdeltype, to_jsonb(k) -> 'confdelsetcols'
$$;
revoke all on function cutover.key_parts(oid) from public;

-- Finds every row that goes or changes, key by key and then through the keys between outside tables, and remembers it
-- in cutover.set_aside (with its values if `whole`). Nothing of production is locked or written. `keys` are those of
-- outside tables to the set; `fixed` the tables of the set, of which no row may go. `policy` says by key what to do;
-- where it is silent the key's own ON DELETE does, or everything is set aside (`aside`: a rollback).
-- Returns what was found by key; rows under `refuse` are counted, with the key of one of them.
create or replace function cutover.collect_outside(
    this_run text, keys oid[], incoming_schema text, fixed oid[], policy jsonb, aside boolean, whole boolean
) returns table (key_name text, operation text, rows bigint, sample text)
language plpgsql
set search_path = '' set timezone = 'UTC' set datestyle = 'ISO, YMD' set intervalstyle = 'postgres'
set extra_float_digits = 1 set bytea_output = 'hex' set lc_monetary = 'C' set enable_nestloop = on as $$
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
                    'from cutover.moved_row as m join %s as o on o.%I %s m.old_key::%s '
                    'where m.run = %L and m.table_name = %L '
                    'and not exists (select from %I.%I as i where i.%I %s m.old_key::%s) '
                    'and exists (select from %I.%I as i where i.%I %s m.new_key::%s) %s',
                    this_run, part.referring::text, part.name, image.columns,
                    case when whole then image.values else 'null' end,
                    part.referring, part.column_name, part.own_equality, part.type_name, this_run, part.referred_name,
                    incoming_schema, part.referred_name, part.referred_column, part.equality, part.type_name,
                    incoming_schema, part.referred_name, part.referred_column, part.equality, part.type_name,
                    (
                        select string_agg(format(
                            'and not exists (select from %s as twice where twice.%I %s m.new_key::%s%s)',
                            part.referring, part.column_name, part.own_equality, part.type_name, u.others
                        ), ' ')
                        from (
                            select
                                x.indexrelid,
                                coalesce(string_agg(
                                    format(' and twice.%1$I %2$s o.%1$I', a.attname, e.operator), ''
                                ) filter (where a.attname <> part.column_name), '') as others
                            from pg_catalog.pg_index as x
                            cross join lateral cutover.equalities(x.indexrelid) as e
                            join pg_catalog.pg_attribute as a on a.attrelid = x.indrelid and a.attnum = e.attnum
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
end $$;
revoke all on function cutover.collect_outside(text, oid[], text, oid[], jsonb, boolean, boolean) from public;

-- Takes the application's triggers off a table, or gives it back those that it had: what is set aside and put back is
-- the rows themselves, and no code of others runs as the engine.
create or replace function cutover.quiet_triggers(relation oid, states jsonb) returns jsonb
language plpgsql set search_path = '' as $$
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
            -- what records writes for another migration's rollback goes on: else that could not be proved whole any more
            and t.tgfoid not in (
                select p.oid from pg_catalog.pg_proc as p where p.pronamespace = 'cutover'::regnamespace
            )
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
revoke all on function cutover.quiet_triggers(oid, jsonb) from public;

-- Does to production's rows what was collected, once clients wait. A row that was written since, or found its parent
-- among the incoming rows after all, is left alone; where that would take another row along unseen, everything is
-- given up (lock_not_available) and collected anew. Returns what was done by key.
create or replace function cutover.set_outside_aside(this_run text, keys oid[], incoming_schema text)
returns table (key_name text, operation text, rows bigint)
language plpgsql set search_path = '' as $$
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
end $$;
revoke all on function cutover.set_outside_aside(text, oid[], text) from public;

-- Puts rows back that wait for their parents: those of the entry that is undone, and what earlier rollbacks of the
-- migration have set aside. A row whose parent is not there, or whose place is taken, goes on waiting.
create or replace function cutover.put_back(this_run text, of_migration text, undone text)
returns table (table_name text, operation text, rows bigint)
language plpgsql
set search_path = '' set timezone = 'UTC' set datestyle = 'ISO, YMD' set intervalstyle = 'postgres'
set extra_float_digits = 1 set bytea_output = 'hex' set lc_monetary = 'C' as $$
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
            string_agg(
                format('t.%I %s s.values[%s]::%s', a.attname, e.operator, p.position, format_type(a.atttypid, -1)), ' and '
            ) filter (where e.operator is not null) as same_row
        into shape
        from unnest(one.columns) with ordinality as p (name, position)
        join pg_catalog.pg_attribute as a
            on a.attrelid = one.relid and a.attname = p.name and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
        left join pg_catalog.pg_index as x on x.indrelid = one.relid and x.indisprimary
        left join lateral cutover.equalities(x.indexrelid) as e on e.attnum = a.attnum;

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
                            'i.%I operator(%I.%s) s.values[%s]::%s', f.attname, e.nspname, o.oprname,
                            coalesce(array_position(one.columns, a.attname::text), 0), format_type(a.atttypid, -1)
                        ), ' and ') as matches
                    from unnest(k.conkey, k.confkey, k.conpfeqop) as n (attnum, fattnum, operator)
                    join pg_catalog.pg_operator as o on o.oid = n.operator
                    join pg_catalog.pg_namespace as e on e.oid = o.oprnamespace
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
end $$;
revoke all on function cutover.put_back(text, text, text) from public;
