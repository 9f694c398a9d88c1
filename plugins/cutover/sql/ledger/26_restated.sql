-- A definition as PostgreSQL writes it once it has read what it wrote: of a list of varchar constants, whose operator
-- is that of text, it writes the cast of the list, and later one of each element. swap/inventory.py does the same.
create or replace function cutover.settled(definition text) returns text
language plpgsql immutable set search_path = '' as $$
declare
    element constant text := $re$(?:'[^']*'|"[^"]*"|\((?:'[^']*'|"[^"]*"|[^()'"])*\)|[^]['",()])+$re$;
    type_name constant text := $re$(?:"[^"]*"|[\w. ]|\(\d+(?:,\d+)?\))+$re$;
    list constant text := format('(\(ARRAY\[(%s(?:, %s)*)\]\)::(%s)\[\])', element, element, type_name);
    parts text[];
begin
    loop
        parts := regexp_match(definition, list);
        exit when parts is null;
        definition := replace(definition, parts[1], (
            select format('ARRAY[%s]', string_agg(format('(%s)::%s', e.found[1], parts[3]), ', ' order by e.position))
            from regexp_matches(parts[2], format('(%s)(?:, |$)', element), 'g') with ordinality as e (found, position)
        ));
    end loop;
    return definition;
end $$;
revoke all on function cutover.settled(text) from public;

-- The query of a view as PostgreSQL writes it now, and as it would write it if the view were made anew from that: not
-- the same where something that the query lists the columns of, such as a function that returns rows of a table, has
-- got one since.
create or replace function cutover.restated(view oid, out before text, out after text)
language plpgsql set search_path = '' as $$
declare
    trial text := format('cutover.restated_%s', pg_backend_pid());
begin
    before := pg_get_viewdef(view);
    execute format('create view %s as %s', trial, before);
    after := cutover.settled(pg_get_viewdef(trial::regclass));
    execute format('drop view %s', trial);
    before := cutover.settled(before);
end $$;
revoke all on function cutover.restated(oid) from public;
