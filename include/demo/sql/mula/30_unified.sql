-- The unified database before its first launch: empty, and open to the engine's role.
grant usage, create on schema public to cutover;
grant usage on schema public to mula_app;
