-- Addresses that a contact had when a launch met it: a profile holds the newest only.
create table if not exists cutover.earlier_address (
    email_key text not null,
    contact_id bigint not null,
    -- of several contacts that had one address, the one that was met with it last
    noted bigint generated always as identity,
    primary key (email_key, contact_id)
);
