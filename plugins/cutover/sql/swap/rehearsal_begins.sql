-- Whether this session may make temporary tables; its database and role.
select
    has_database_privilege(current_database(), 'temporary') as may_hold_back,
    quote_ident(current_database()) as database,
    quote_ident(current_user) as role
