"""A type of the application's own with an equality of its own, which no search_path of the engine's leads to."""

# Text of which the case makes no difference: a base type, as citext is, whose operators are in `public`. Its `=` has
# none of the marks that a merge or a hash of two tables asks for. To be made by a superuser.
SHOUT = """
create type public.shout;
create function public.shout_in(cstring) returns public.shout immutable strict language internal as 'textin';
create function public.shout_out(public.shout) returns cstring immutable strict language internal as 'textout';
create type public.shout (input = public.shout_in, output = public.shout_out, like = text);
create function public.shout_cmp(public.shout, public.shout) returns integer immutable strict language sql as
$$ select pg_catalog.bttextcmp(
    lower(pg_catalog.textin(public.shout_out($1))), lower(pg_catalog.textin(public.shout_out($2)))
) $$;
create function public.shout_lt(public.shout, public.shout) returns boolean immutable strict language sql as
'select public.shout_cmp($1, $2) < 0';
create function public.shout_le(public.shout, public.shout) returns boolean immutable strict language sql as
'select public.shout_cmp($1, $2) <= 0';
create function public.shout_eq(public.shout, public.shout) returns boolean immutable strict language sql as
'select public.shout_cmp($1, $2) = 0';
create function public.shout_ge(public.shout, public.shout) returns boolean immutable strict language sql as
'select public.shout_cmp($1, $2) >= 0';
create function public.shout_gt(public.shout, public.shout) returns boolean immutable strict language sql as
'select public.shout_cmp($1, $2) > 0';
create operator public.< (leftarg = public.shout, rightarg = public.shout, function = public.shout_lt);
create operator public.<= (leftarg = public.shout, rightarg = public.shout, function = public.shout_le);
create operator public.= (leftarg = public.shout, rightarg = public.shout, function = public.shout_eq);
create operator public.>= (leftarg = public.shout, rightarg = public.shout, function = public.shout_ge);
create operator public.> (leftarg = public.shout, rightarg = public.shout, function = public.shout_gt);
create operator class public.shout_ops default for type public.shout using btree as
operator 1 public.<, operator 2 public.<=, operator 3 public.=, operator 4 public.>=, operator 5 public.>,
function 1 public.shout_cmp(public.shout, public.shout);
"""
