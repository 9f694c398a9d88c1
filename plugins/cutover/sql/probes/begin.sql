-- The schema in which the tables lie as rehearsed, for the time of a transaction that is taken back; and the function
-- by which a query runs as the tables' owner, who cannot become another role in it.
create schema {schema};
grant usage, create on schema {schema} to {owner};
create function {schema}.cutover_as_owner(statement text) returns json
language plpgsql security definer as $$
declare answer json;
begin
    execute statement into answer;
    return answer;
end $$;
alter function {schema}.cutover_as_owner(text) owner to {owner}
