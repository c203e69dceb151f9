-- Steering looks each key up to its last column. A row value that leads with the shard, as in the first version of
-- these functions, bounds an index scan by the shard alone: each look-up read on to the end of its shard, and cancelling
-- a million messages took hours. Nothing else has changed.

-- Holds units: they are neither attempted nor do they expire.
CREATE OR REPLACE FUNCTION queue.hold(
    queue_id uuid DEFAULT NULL, tenant bigint DEFAULT NULL, domain text DEFAULT NULL,
    sender text DEFAULT NULL, recipient text DEFAULT NULL, state queue.unit_state DEFAULT NULL,
    everything boolean DEFAULT false,
    reason text DEFAULT 'held by an operator',
    after_message uuid DEFAULT NULL, after_number int DEFAULT NULL, most int DEFAULT 10000
) RETURNS queue.steered
    LANGUAGE sql AS $$
    SELECT queue.check_selection(hold.queue_id, hold.tenant, hold.domain, hold.sender,
                                 hold.recipient, hold.state, hold.everything);
    WITH found AS MATERIALIZED (
        SELECT * FROM queue.find(hold.queue_id, hold.tenant, hold.domain, hold.sender,
            hold.recipient, hold.state, ARRAY['ready', 'deferred', 'leased']::queue.unit_state[],
            hold.after_message, hold.after_number, hold.most)
    ),
    locked AS MATERIALIZED (
        SELECT u.shard, u.message, u.number, u.state
        FROM found AS f
        JOIN queue.unit AS u ON u.shard = ANY (ARRAY[f.shard])
            AND (u.message, u.number) BETWEEN (f.message, f.number) AND (f.message, f.number)
        ORDER BY u.shard, u.message, u.number
        FOR UPDATE OF u
    ),
    changed AS (
        UPDATE queue.unit AS u
        SET state = 'held', due_at = now(), last_reply = hold.reason
        FROM locked AS l
        WHERE u.shard = ANY (ARRAY[l.shard])
            AND (u.message, u.number) BETWEEN (l.message, l.number) AND (l.message, l.number)
          AND l.state IN ('ready', 'deferred')
        RETURNING u.number
    ),
    marked AS (
        UPDATE queue.unit AS u
        SET hold_requested = true
        FROM locked AS l
        WHERE u.shard = ANY (ARRAY[l.shard])
            AND (u.message, u.number) BETWEEN (l.message, l.number) AND (l.message, l.number)
          AND l.state = 'leased'
        RETURNING u.number
    ),
    last AS (
        SELECT message, number FROM found
        WHERE (SELECT count(*) FROM found) >= hold.most
        ORDER BY shard DESC, message DESC, number DESC LIMIT 1
    )
    SELECT (SELECT count(*) FROM changed), (SELECT count(*) FROM marked), last.message, last.number
    FROM (SELECT) AS one LEFT JOIN last ON true
$$;

-- Releases held units. Each gets at least one attempt, even if its time was up meanwhile; what
-- was held because relays died of it is attempted alone.
CREATE OR REPLACE FUNCTION queue.release(
    queue_id uuid DEFAULT NULL, tenant bigint DEFAULT NULL, domain text DEFAULT NULL,
    sender text DEFAULT NULL, recipient text DEFAULT NULL, state queue.unit_state DEFAULT NULL,
    everything boolean DEFAULT false,
    after_message uuid DEFAULT NULL, after_number int DEFAULT NULL, most int DEFAULT 10000
) RETURNS queue.steered
    LANGUAGE sql AS $$
    SELECT queue.check_selection(release.queue_id, release.tenant, release.domain, release.sender,
                                 release.recipient, release.state, release.everything);
    WITH found AS MATERIALIZED (
        SELECT * FROM queue.find(release.queue_id, release.tenant, release.domain, release.sender,
            release.recipient, release.state, ARRAY['held', 'leased']::queue.unit_state[],
            release.after_message, release.after_number, release.most)
    ),
    locked AS MATERIALIZED (
        SELECT u.shard, u.message, u.number, u.state
        FROM found AS f
        JOIN queue.unit AS u ON u.shard = ANY (ARRAY[f.shard])
            AND (u.message, u.number) BETWEEN (f.message, f.number) AND (f.message, f.number)
        ORDER BY u.shard, u.message, u.number
        FOR UPDATE OF u
    ),
    changed AS (
        UPDATE queue.unit AS u
        SET state = 'ready', due_at = now(), expires_at = greatest(u.expires_at, now()),
            unclean_takeovers = least(u.unclean_takeovers, 2)
        FROM locked AS l
        WHERE u.shard = ANY (ARRAY[l.shard])
            AND (u.message, u.number) BETWEEN (l.message, l.number) AND (l.message, l.number)
          AND l.state = 'held'
        RETURNING u.number
    ),
    unmarked AS (
        UPDATE queue.unit AS u
        SET hold_requested = false
        FROM locked AS l
        WHERE u.shard = ANY (ARRAY[l.shard])
            AND (u.message, u.number) BETWEEN (l.message, l.number) AND (l.message, l.number)
          AND l.state = 'leased' AND u.hold_requested
        RETURNING u.number
    ),
    last AS (
        SELECT message, number FROM found
        WHERE (SELECT count(*) FROM found) >= release.most
        ORDER BY shard DESC, message DESC, number DESC LIMIT 1
    )
    SELECT (SELECT count(*) FROM changed), (SELECT count(*) FROM unmarked),
           last.message, last.number
    FROM (SELECT) AS one LEFT JOIN last ON true
$$;

-- Makes deferred units due now, and opens the destinations of all that is found.
CREATE OR REPLACE FUNCTION queue.flush(
    queue_id uuid DEFAULT NULL, tenant bigint DEFAULT NULL, domain text DEFAULT NULL,
    sender text DEFAULT NULL, recipient text DEFAULT NULL, state queue.unit_state DEFAULT NULL,
    everything boolean DEFAULT false,
    after_message uuid DEFAULT NULL, after_number int DEFAULT NULL, most int DEFAULT 10000
) RETURNS queue.steered
    LANGUAGE sql AS $$
    SELECT queue.check_selection(flush.queue_id, flush.tenant, flush.domain, flush.sender,
                                 flush.recipient, flush.state, flush.everything);
    WITH found AS MATERIALIZED (
        SELECT * FROM queue.find(flush.queue_id, flush.tenant, flush.domain, flush.sender,
            flush.recipient, flush.state, ARRAY['ready', 'deferred']::queue.unit_state[],
            flush.after_message, flush.after_number, flush.most)
    ),
    locked AS MATERIALIZED (
        SELECT u.shard, u.message, u.number, u.state, u.tenant, u.domain
        FROM found AS f
        JOIN queue.unit AS u ON u.shard = ANY (ARRAY[f.shard])
            AND (u.message, u.number) BETWEEN (f.message, f.number) AND (f.message, f.number)
        ORDER BY u.shard, u.message, u.number
        FOR UPDATE OF u
    ),
    due AS (
        UPDATE queue.unit AS u
        SET state = 'ready', due_at = now()
        FROM locked AS l
        WHERE u.shard = ANY (ARRAY[l.shard])
            AND (u.message, u.number) BETWEEN (l.message, l.number) AND (l.message, l.number)
          AND l.state = 'deferred'
        RETURNING u.number
    ),
    closed AS MATERIALIZED (
        SELECT d.tenant, d.domain
        FROM queue.destination AS d
        WHERE (d.tenant, d.domain) IN (SELECT tenant, domain FROM locked)
        ORDER BY d.tenant, d.domain
        FOR UPDATE
    ),
    opened AS (
        UPDATE queue.destination AS d
        SET suspended_until = NULL, ramp = NULL, failures = 0,
            probe_holder = NULL, probe_started_at = NULL
        FROM closed
        WHERE d.tenant = closed.tenant AND d.domain = closed.domain
    ),
    last AS (
        SELECT message, number FROM found
        WHERE (SELECT count(*) FROM found) >= flush.most
        ORDER BY shard DESC, message DESC, number DESC LIMIT 1
    )
    SELECT (SELECT count(*) FROM due)
             + (SELECT count(*) FROM locked
                WHERE state = 'ready'
                  AND (tenant, domain) IN (SELECT tenant, domain FROM closed)),
           0::bigint, last.message, last.number
    FROM (SELECT) AS one LEFT JOIN last ON true
$$;

-- Removes recipients from the queue, and what only they kept there, without a report to the
-- sender. With a recipient pattern only those that fit it, else all of a unit.
CREATE OR REPLACE FUNCTION queue.cancel(
    queue_id uuid DEFAULT NULL, tenant bigint DEFAULT NULL, domain text DEFAULT NULL,
    sender text DEFAULT NULL, recipient text DEFAULT NULL, state queue.unit_state DEFAULT NULL,
    everything boolean DEFAULT false,
    after_message uuid DEFAULT NULL, after_number int DEFAULT NULL, most int DEFAULT 10000
) RETURNS queue.steered
    LANGUAGE sql AS $$
    SELECT queue.check_selection(cancel.queue_id, cancel.tenant, cancel.domain, cancel.sender,
                                 cancel.recipient, cancel.state, cancel.everything);
    WITH found AS MATERIALIZED (
        SELECT * FROM queue.find(cancel.queue_id, cancel.tenant, cancel.domain, cancel.sender,
            cancel.recipient, cancel.state, ARRAY['ready', 'deferred', 'held', 'leased']::queue.unit_state[],
            cancel.after_message, cancel.after_number, cancel.most)
    ),
    locked AS MATERIALIZED (
        SELECT u.shard, u.message, u.number, u.state, u.tenant, u.recipients,
               u.recipient_numbers
        FROM found AS f
        JOIN queue.unit AS u ON u.shard = ANY (ARRAY[f.shard])
            AND (u.message, u.number) BETWEEN (f.message, f.number) AND (f.message, f.number)
        ORDER BY u.shard, u.message, u.number
        FOR UPDATE OF u
    ),
    marked AS (
        UPDATE queue.unit AS u
        SET hold_requested = true
        FROM locked AS l
        WHERE u.shard = ANY (ARRAY[l.shard])
            AND (u.message, u.number) BETWEEN (l.message, l.number) AND (l.message, l.number)
          AND l.state = 'leased'
        RETURNING u.number
    ),
    -- Who stays.
    kept AS MATERIALIZED (
        SELECT l.shard, l.message, l.number, l.tenant, count(*) AS had,
               coalesce(array_agg(r.address ORDER BY r.position)
                        FILTER (WHERE stays), '{}') AS recipients,
               coalesce(array_agg(r.number ORDER BY r.position)
                        FILTER (WHERE stays), '{}') AS recipient_numbers
        FROM locked AS l
        CROSS JOIN LATERAL unnest(l.recipients, l.recipient_numbers)
            WITH ORDINALITY AS r (address, number, position)
        CROSS JOIN LATERAL (
            SELECT cancel.recipient IS NOT NULL
               AND queue.address_text(r.address) NOT ILIKE queue.glob(cancel.recipient) AS stays
        ) AS verdict
        WHERE l.state <> 'leased'
        GROUP BY l.shard, l.message, l.number, l.tenant
    ),
    shortened AS (
        UPDATE queue.unit AS u
        SET recipients = k.recipients, recipient_numbers = k.recipient_numbers
        FROM kept AS k
        WHERE u.shard = ANY (ARRAY[k.shard])
            AND (u.message, u.number) BETWEEN (k.message, k.number) AND (k.message, k.number)
          AND cardinality(k.recipients) > 0
    ),
    removed AS (
        DELETE FROM queue.unit AS u
        USING kept AS k
        WHERE u.shard = ANY (ARRAY[k.shard])
            AND (u.message, u.number) BETWEEN (k.message, k.number) AND (k.message, k.number)
          AND cardinality(k.recipients) = 0
        RETURNING u.shard, u.message, u.sole
    ),
    counted AS (
        INSERT INTO queue.ledger_delta (shard, tenant, event, recipients)
        SELECT shard, tenant, 'cancelled', sum(had - cardinality(recipients))
        FROM kept GROUP BY shard, tenant
    ),
    shared AS MATERIALIZED (
        SELECT shard, message, count(*)::int AS units
        FROM removed WHERE NOT sole GROUP BY shard, message
    ),
    lowered AS MATERIALIZED (
        SELECT m.shard, m.id, m.remaining - s.units AS remaining
        FROM shared AS s
        JOIN queue.message AS m
          ON m.shard = ANY (ARRAY[s.shard]) AND m.id BETWEEN s.message AND s.message
        ORDER BY m.shard, m.id
        FOR UPDATE OF m
    ),
    lowering AS (
        UPDATE queue.message AS m
        SET remaining = l.remaining
        FROM lowered AS l
        WHERE m.shard = ANY (ARRAY[l.shard]) AND m.id BETWEEN l.id AND l.id AND l.remaining > 0
    ),
    over AS MATERIALIZED (
        SELECT shard, message AS id FROM removed WHERE sole
        UNION ALL
        SELECT shard, id FROM lowered WHERE remaining <= 0
    ),
    message_gone AS (
        DELETE FROM queue.message AS m USING over AS o
        WHERE m.shard = ANY (ARRAY[o.shard]) AND m.id BETWEEN o.id AND o.id
    ),
    content_gone AS (
        DELETE FROM queue.content AS c USING over AS o
        WHERE c.shard = ANY (ARRAY[o.shard]) AND c.id BETWEEN o.id AND o.id
    ),
    last AS (
        SELECT message, number FROM found
        WHERE (SELECT count(*) FROM found) >= cancel.most
        ORDER BY shard DESC, message DESC, number DESC LIMIT 1
    )
    SELECT (SELECT coalesce(sum(had - cardinality(recipients)), 0) FROM kept)::bigint,
           (SELECT count(*) FROM marked), last.message, last.number
    FROM (SELECT) AS one LEFT JOIN last ON true
$$;
