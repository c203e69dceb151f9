-- A backlog as it would stand after so many deferrals: $1 messages of $2 octets for $3, of tenant $4, in state $5.
-- Written as SQL, since the measurement is about living with a backlog, not about how it came to be.
WITH new AS MATERIALIZED (
    -- The last octet is the shard.
    SELECT overlay(gen_random_uuid()::text PLACING lpad(to_hex(n % 16), 2, '0') FROM 35)::uuid AS id, n
    FROM generate_series(1, $1::int) AS n
),
message AS (
    INSERT INTO queue.message (shard, id, tenant, size, accepted_at, remaining, body, reverse_path, service, traceparent,
                               content)
    SELECT queue.shard_of(id), id, $4, $2, now(), 1, 7, 'stranger@elsewhere.test', 'inbound',
           '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00',
           convert_to(E'Subject: a backlog\r\n\r\n' || repeat(repeat('X', 78) || E'\r\n', ($2::int - 20) / 80), 'UTF8')
    FROM new
),
unit AS (
    INSERT INTO queue.unit (shard, message, number, tenant, domain, state, due_at, expires_at, attempt, tries, sole,
                            recipients, recipient_numbers)
    SELECT queue.shard_of(id), id, 0, $4, $3, $5::queue.unit_state,
           now() + CASE WHEN $5 = 'deferred' THEN interval '2 hours' + n * interval '10 ms' ELSE interval '0' END,
           now() + interval '5 days', 1, 1, true, ARRAY[convert_to('jo@' || $3, 'UTF8')], ARRAY[0]
    FROM new
)
INSERT INTO queue.ledger_delta (shard, tenant, event, recipients) SELECT 0, $4, 'accepted', $1
