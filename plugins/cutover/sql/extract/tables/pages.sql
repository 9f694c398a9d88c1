-- How many pages the table fills.
select pg_relation_size(to_regclass(%(table)s)) / current_setting('block_size')::bigint as pages
