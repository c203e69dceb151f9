-- Steering by SQL: hold, release, flush, cancel. Never change the tables by hand: counts of units
-- and the ledger hang together with them, which is what these functions see to.
--
--     SELECT * FROM queue.hold(domain => 'example.org', reason => 'asked by phone');
--     SELECT * FROM queue.cancel(recipient => '*@example.org');
--     SELECT * FROM queue.flush(everything => true);
--
-- Each call changes at most `most` units and tells where it ended; give that as `after_message`
-- and `after_number` to go on, until both come back null. In patterns `*` stands for any
-- characters and `?` for one.
--
-- What a relay holds right now cannot be called back. `hold` and `cancel` mark it (counted as
-- `leased`): unless this very attempt delivers it, it will be held, and a second `cancel` then
-- removes it. `flush` and `release` pass over it.

CREATE TYPE queue.steered AS (
    changed      bigint,
    leased       bigint,
    last_message uuid,
    last_number  int
);

CREATE FUNCTION queue.glob(pattern text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN translate(regexp_replace(pattern, '([\\%_])', '\\\1', 'g'), '*?', '%_');

-- Rows are looked up by comparing whole keys as row values, which leaves the planner no choice but
-- the primary key's index, whatever it believes of the sizes of tables.

-- The units that fit every argument that isn't null, in the order of the primary key. A single
-- message is a narrow range of that key, so that one plan is right for all.
CREATE FUNCTION queue.find(
    queue_id uuid, tenant bigint, domain text, sender text, recipient text,
    state queue.unit_state, states queue.unit_state[], after_message uuid, after_number int, most bigint
) RETURNS TABLE (shard smallint, message uuid, number int)
    LANGUAGE sql STABLE AS $$
    SELECT u.shard, u.message, u.number
    FROM queue.unit AS u
    WHERE (u.shard, u.message, u.number)
            >= (coalesce(queue.shard_of(find.queue_id), '-1'),
                coalesce(find.queue_id, '00000000-0000-0000-0000-000000000000'), 0)
      AND (u.shard, u.message, u.number)
            <= (coalesce(queue.shard_of(find.queue_id), '32767'),
                coalesce(find.queue_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff'), 2147483647)
      AND (u.shard, u.message, u.number)
            > (coalesce(queue.shard_of(find.after_message), '-1'),
               coalesce(find.after_message, '00000000-0000-0000-0000-000000000000'),
               coalesce(find.after_number, -1))
      AND u.state = ANY (find.states)
      AND (find.state IS NULL OR u.state = find.state)
      AND (find.tenant IS NULL OR u.tenant = find.tenant)
      AND (find.domain IS NULL OR u.domain = lower(find.domain))
      AND (find.recipient IS NULL OR EXISTS (
            SELECT FROM unnest(u.recipients) AS address
            WHERE queue.address_text(address) ILIKE queue.glob(find.recipient)))
      AND (find.sender IS NULL OR EXISTS (
            SELECT FROM queue.message AS m
            WHERE m.shard = u.shard AND m.id = u.message
              AND queue.address_text(m.reverse_path) ILIKE queue.glob(find.sender)))
    ORDER BY u.shard, u.message, u.number
    LIMIT find.most
$$;

-- Steering everything takes saying so.
CREATE FUNCTION queue.check_selection(
    queue_id uuid, tenant bigint, domain text, sender text, recipient text,
    state queue.unit_state, everything boolean
) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    IF NOT everything AND num_nonnulls(queue_id, tenant, domain, sender, recipient, state) = 0 THEN
        RAISE EXCEPTION 'say which units are meant, or everything => true';
    END IF;
END
$$;

-- Holds units: they are neither attempted nor do they expire.
CREATE FUNCTION queue.hold(
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
        JOIN queue.unit AS u ON (u.shard, u.message, u.number)
            BETWEEN (f.shard, f.message, f.number) AND (f.shard, f.message, f.number)
        ORDER BY u.shard, u.message, u.number
        FOR UPDATE OF u
    ),
    changed AS (
        UPDATE queue.unit AS u
        SET state = 'held', due_at = now(), last_reply = hold.reason
        FROM locked AS l
        WHERE (u.shard, u.message, u.number)
            BETWEEN (l.shard, l.message, l.number) AND (l.shard, l.message, l.number)
          AND l.state IN ('ready', 'deferred')
        RETURNING u.number
    ),
    marked AS (
        UPDATE queue.unit AS u
        SET hold_requested = true
        FROM locked AS l
        WHERE (u.shard, u.message, u.number)
            BETWEEN (l.shard, l.message, l.number) AND (l.shard, l.message, l.number)
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
CREATE FUNCTION queue.release(
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
        JOIN queue.unit AS u ON (u.shard, u.message, u.number)
            BETWEEN (f.shard, f.message, f.number) AND (f.shard, f.message, f.number)
        ORDER BY u.shard, u.message, u.number
        FOR UPDATE OF u
    ),
    changed AS (
        UPDATE queue.unit AS u
        SET state = 'ready', due_at = now(), expires_at = greatest(u.expires_at, now()),
            unclean_takeovers = least(u.unclean_takeovers, 2)
        FROM locked AS l
        WHERE (u.shard, u.message, u.number)
            BETWEEN (l.shard, l.message, l.number) AND (l.shard, l.message, l.number)
          AND l.state = 'held'
        RETURNING u.number
    ),
    unmarked AS (
        UPDATE queue.unit AS u
        SET hold_requested = false
        FROM locked AS l
        WHERE (u.shard, u.message, u.number)
            BETWEEN (l.shard, l.message, l.number) AND (l.shard, l.message, l.number)
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
CREATE FUNCTION queue.flush(
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
        JOIN queue.unit AS u ON (u.shard, u.message, u.number)
            BETWEEN (f.shard, f.message, f.number) AND (f.shard, f.message, f.number)
        ORDER BY u.shard, u.message, u.number
        FOR UPDATE OF u
    ),
    due AS (
        UPDATE queue.unit AS u
        SET state = 'ready', due_at = now()
        FROM locked AS l
        WHERE (u.shard, u.message, u.number)
            BETWEEN (l.shard, l.message, l.number) AND (l.shard, l.message, l.number)
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
CREATE FUNCTION queue.cancel(
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
        JOIN queue.unit AS u ON (u.shard, u.message, u.number)
            BETWEEN (f.shard, f.message, f.number) AND (f.shard, f.message, f.number)
        ORDER BY u.shard, u.message, u.number
        FOR UPDATE OF u
    ),
    marked AS (
        UPDATE queue.unit AS u
        SET hold_requested = true
        FROM locked AS l
        WHERE (u.shard, u.message, u.number)
            BETWEEN (l.shard, l.message, l.number) AND (l.shard, l.message, l.number)
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
        WHERE (u.shard, u.message, u.number)
            BETWEEN (k.shard, k.message, k.number) AND (k.shard, k.message, k.number)
          AND cardinality(k.recipients) > 0
    ),
    removed AS (
        DELETE FROM queue.unit AS u
        USING kept AS k
        WHERE (u.shard, u.message, u.number)
            BETWEEN (k.shard, k.message, k.number) AND (k.shard, k.message, k.number)
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
          ON (m.shard, m.id) BETWEEN (s.shard, s.message) AND (s.shard, s.message)
        ORDER BY m.shard, m.id
        FOR UPDATE OF m
    ),
    lowering AS (
        UPDATE queue.message AS m
        SET remaining = l.remaining
        FROM lowered AS l
        WHERE (m.shard, m.id) BETWEEN (l.shard, l.id) AND (l.shard, l.id) AND l.remaining > 0
    ),
    over AS MATERIALIZED (
        SELECT shard, message AS id FROM removed WHERE sole
        UNION ALL
        SELECT shard, id FROM lowered WHERE remaining <= 0
    ),
    message_gone AS (
        DELETE FROM queue.message AS m USING over AS o
        WHERE (m.shard, m.id) BETWEEN (o.shard, o.id) AND (o.shard, o.id)
    ),
    content_gone AS (
        DELETE FROM queue.content AS c USING over AS o
        WHERE (c.shard, c.id) BETWEEN (o.shard, o.id) AND (o.shard, o.id)
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
