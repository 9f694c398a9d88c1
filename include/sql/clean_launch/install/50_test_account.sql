-- Who is a test account: data, not code. Seeded with what the demonstration's production has; rows are never
-- overwritten from here, so that what an operator has changed stays. Only accounts that no clean source knows are
-- looked at, and never one with money.
create table if not exists cutover.test_account (
    name text primary key,
    -- an ilike pattern over the account's address
    address_pattern text,
    -- what the profile's admin_metadata says; staff writes it, and nobody else
    flag jsonb,
    constraint test_account_says_something check (num_nonnulls(address_pattern, flag) > 0)
);

insert into cutover.test_account (name, address_pattern, flag)
values
('plus test', 'test+%@learn.example.com', null),
('quality assurance', 'qa.%@learn.example.com', null),
('throw-away mailbox', 'dev%@mailinator.com', null),
('checkout test', 'test.checkout%@example.com', null),
('flagged by staff', null, '{"test_account": true}')
on conflict do nothing;
