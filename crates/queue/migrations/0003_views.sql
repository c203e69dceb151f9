-- What operators look at: bytes as text, states as words.

-- Addresses are ASCII. Octets beyond it, which no program of ours writes, are shown escaped.
CREATE FUNCTION queue.address_text(address bytea) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN encode(address, 'escape');

CREATE FUNCTION queue.address_texts(addresses bytea[]) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN ARRAY(SELECT queue.address_text(address)
                 FROM unnest(addresses) WITH ORDINALITY AS each (address, position)
                 ORDER BY position);

CREATE VIEW queue.messages AS
    SELECT id AS queue_id, tenant, queue.address_text(reverse_path) AS reverse_path,
           size, CASE body WHEN 7 THEN '7BIT' ELSE '8BITMIME' END AS body,
           accepted_at, remaining AS units, service, client, hello, login, tls, traceparent
    FROM queue.message;

CREATE VIEW queue.units AS
    SELECT u.message AS queue_id, u.number, u.tenant, u.domain, u.state::text AS state,
           queue.address_text(m.reverse_path) AS reverse_path,
           queue.address_texts(u.recipients) AS recipients,
           m.size, m.accepted_at, u.due_at, u.expires_at, u.tries, u.holder, u.leased_at,
           u.unclean_takeovers, u.hold_requested, u.last_attempt_at, u.last_status, u.last_reply
    FROM queue.unit u
    JOIN queue.message m ON m.shard = u.shard AND m.id = u.message;

CREATE VIEW queue.recipients AS
    SELECT u.message AS queue_id, u.number AS unit, r.number AS recipient,
           queue.address_text(r.address) AS address, u.domain, u.state::text AS state, u.last_reply
    FROM queue.unit u
    CROSS JOIN LATERAL unnest(u.recipients, u.recipient_numbers) AS r (address, number);

CREATE VIEW queue.attempts AS
    SELECT at, message AS queue_id, unit, attempt, incarnation, node, domain,
           queue.address_text(reverse_path) AS reverse_path,
           queue.address_texts(recipients) AS recipients,
           outcome, status, reply, host, host_address, source_address, tls,
           duration_ms, delay_ms, traceparent, fenced
    FROM queue.attempt;

-- Accepted recipients equal those that left and those that are still queued.
CREATE VIEW queue.balance AS
    WITH events AS (
        SELECT tenant, event, recipients FROM queue.ledger
        UNION ALL
        SELECT tenant, event, recipients FROM queue.ledger_delta
    ),
    totals AS (
        SELECT tenant,
               coalesce(sum(recipients) FILTER (WHERE event = 'accepted'), 0)::bigint AS accepted,
               coalesce(sum(recipients) FILTER (WHERE event = 'delivered'), 0)::bigint AS delivered,
               coalesce(sum(recipients) FILTER (WHERE event = 'failed'), 0)::bigint AS failed,
               coalesce(sum(recipients) FILTER (WHERE event = 'expired'), 0)::bigint AS expired,
               coalesce(sum(recipients) FILTER (WHERE event = 'cancelled'), 0)::bigint AS cancelled,
               coalesce(sum(recipients) FILTER (WHERE event = 'discarded'), 0)::bigint AS discarded
        FROM events GROUP BY tenant
    ),
    waiting AS (
        SELECT tenant, sum(cardinality(recipients))::bigint AS queued
        FROM queue.unit GROUP BY tenant
    )
    SELECT tenant,
           coalesce(accepted, 0) AS accepted, coalesce(delivered, 0) AS delivered,
           coalesce(failed, 0) AS failed, coalesce(expired, 0) AS expired,
           coalesce(cancelled, 0) AS cancelled, coalesce(discarded, 0) AS discarded,
           coalesce(queued, 0) AS queued,
           coalesce(accepted, 0) - coalesce(delivered, 0) - coalesce(failed, 0)
             - coalesce(expired, 0) - coalesce(cancelled, 0) - coalesce(discarded, 0)
             - coalesce(queued, 0) AS difference
    FROM totals FULL JOIN waiting USING (tenant);
