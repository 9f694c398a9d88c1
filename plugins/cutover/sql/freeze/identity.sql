create table input.{table} (email_key text not null, id uuid not null)
