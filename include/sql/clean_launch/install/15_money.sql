-- Money as its currency has it. ISO 4217 knows currencies without a smaller unit; those with three decimals have two
-- here, as the columns do.
create or replace function cutover.decimals(currency text) returns integer
language sql immutable parallel safe
return case
    when
        currency in (
            'BIF',
            'CLP',
            'DJF',
            'GNF',
            'ISK',
            'JPY',
            'KMF',
            'KRW',
            'PYG',
            'RWF',
            'UGX',
            'VND',
            'VUV',
            'XAF',
            'XOF',
            'XPF'
        )
        then 0
    else 2
end;

-- Half to even, as accountants round: what a half loses here it wins there. PostgreSQL's own rounds away from zero.
create or replace function cutover.rounded(amount numeric, currency text) returns numeric
language sql immutable parallel safe
return case
    when
        abs(amount - trunc(amount, cutover.decimals(currency))) = 0.5 * power(10::numeric, -cutover.decimals(currency))
        and mod(trunc(amount * power(10::numeric, cutover.decimals(currency))), 2) = 0
        then trunc(amount, cutover.decimals(currency))
    else round(amount, cutover.decimals(currency))
end;

-- Whether numeric(12, 2) can hold the amount, rounded.
create or replace function cutover.holds(amount numeric) returns boolean
language sql immutable parallel safe
return coalesce(amount <> 'NaN' and abs(amount) < 9999999999.99, false);

-- Whether a movement says how much came, and in what; without a currency it is the account's.
create or replace function cutover.is_sum(amount numeric, currency text) returns boolean
language sql immutable parallel safe
return cutover.holds(amount) and amount > 0 and coalesce(upper(btrim(currency)) ~ '^[A-Z]{3}$', true);

-- A text as it is compared: case, white space (no-break and line breaks too) and Unicode form say nothing.
create or replace function cutover.folded(said text) returns text
language sql immutable parallel safe
return lower(
    btrim(
        regexp_replace(
            normalize(said, nfkc), '[[:space:]\u00a0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff]+', ' ', 'g'
        )
    )
);

-- A time that can have been: of neither before computers nor after four digits of year, and not of infinity.
create or replace function cutover.believable(at timestamptz) returns boolean
language sql immutable parallel safe
return coalesce(at >= '1970-01-01 00:00:00+00'::timestamptz and at < '9999-01-01 00:00:00+00'::timestamptz, false);
