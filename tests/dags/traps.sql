-- Functions and operators of public that fit a call better than the catalogue's own do: whoever looks names up there
-- runs them. They are harmless to the application, and tell on the engine's roles.
create function public.trap() returns void language plpgsql as $$
begin
    if current_user in ('cutover', 'cutover_extract') then
        raise exception 'a function of public ran as %', current_user;
    end if;
end $$;

create function public.jsonb_build_object(text, text) returns jsonb language plpgsql as $$
begin
    perform public.trap();
    return pg_catalog.jsonb_build_object(variadic array[$1, $2]);
end $$;

create function public.jsonb_build_object(text, bigint) returns jsonb language plpgsql as $$
begin
    perform public.trap();
    return pg_catalog.jsonb_build_object($1, to_jsonb($2));
end $$;

create function public.jsonb_build_object(text, text, text, bigint) returns jsonb language plpgsql as $$
begin
    perform public.trap();
    return pg_catalog.jsonb_build_object($1, to_jsonb($2), $3, to_jsonb($4));
end $$;

create function public.format(text, text) returns text language plpgsql as $$
begin
    perform public.trap();
    return pg_catalog.format($1, variadic array[$2]);
end $$;

create function public.concat_ws(text, text, text) returns text language plpgsql as $$
begin
    perform public.trap();
    return pg_catalog.array_to_string(array[$2, $3], $1);
end $$;

create function public.to_jsonb(text) returns jsonb language plpgsql as $$
begin
    perform public.trap();
    return pg_catalog.to_json($1)::jsonb;
end $$;

create function public.lower(varchar) returns text language plpgsql as $$
begin
    perform public.trap();
    return pg_catalog.lower($1::text);
end $$;

create function public.equals(text, varchar) returns boolean language plpgsql as $$
begin
    perform public.trap();
    return $1 operator(pg_catalog.=) $2::text;
end $$;

create operator public.= (function = public.equals, leftarg = text, rightarg = varchar);
