-- The queue itself: messages, their content, their units, and where units go.
--
-- Every hot table leads with the shard, the last octet of the message's id, so that it can be
-- distributed. There are no foreign keys: each statement that ends a message names its rows.

-- What a program must be to work with this schema, and what it can expect.
CREATE TABLE queue.compatibility (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    -- Raised by each migration that a program may come to need.
    version     int NOT NULL,
    -- The version of the oldest program that still works; raised by contracting migrations.
    serves_from int NOT NULL
);
INSERT INTO queue.compatibility (version, serves_from) VALUES (1, 1);

CREATE FUNCTION queue.shard_of(message uuid) RETURNS smallint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN get_byte(uuid_send(message), 15)::smallint;

-- One row a message, until its last unit is settled.
CREATE TABLE queue.message (
    id           uuid NOT NULL,
    tenant       bigint NOT NULL,
    size         bigint NOT NULL,
    accepted_at  timestamptz NOT NULL,
    -- Units that are not settled yet. Lowered under the row's lock; not touched for a sole unit.
    remaining    int NOT NULL,
    shard        smallint NOT NULL,
    -- 7: 7BIT, 8: 8BITMIME (RFC 6152).
    body         smallint NOT NULL,
    -- The address without angle brackets; empty for the null reverse-path.
    reverse_path bytea NOT NULL,
    service      text NOT NULL,
    client       inet,
    hello        text,
    login        text,
    tls          text,
    traceparent  text NOT NULL,
    PRIMARY KEY (shard, id),
    -- One check, since each costs some preparation in every statement that writes.
    CHECK (shard = get_byte(uuid_send(id), 15) AND remaining > 0 AND body IN (7, 8))
) WITH (
    fillfactor = 95,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 1,
    -- Shrinking an emptied table takes a lock that nobody wants on the hot path.
    vacuum_truncate = false
);

-- The content, written once, never updated, deleted with its message.
CREATE TABLE queue.content (
    shard smallint NOT NULL,
    id    uuid NOT NULL,
    data  bytea NOT NULL,
    PRIMARY KEY (shard, id)
) WITH (
    -- Up to a page a message stays in one piece; only larger ones are cut up for TOAST.
    toast_tuple_target = 8160,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 1,
    vacuum_truncate = false,
    toast.autovacuum_vacuum_scale_factor = 0.02,
    toast.autovacuum_vacuum_threshold = 4000,
    toast.autovacuum_vacuum_cost_delay = 1,
    toast.vacuum_truncate = false
);
-- Compressing mail costs more than it saves, and so does reading it back.
ALTER TABLE queue.content ALTER COLUMN data SET STORAGE EXTERNAL;

CREATE TYPE queue.unit_state AS ENUM ('ready', 'leased', 'deferred', 'held');

-- What is leased: the recipients of one message that share a routing domain.
CREATE TABLE queue.unit (
    message           uuid NOT NULL,
    tenant            bigint NOT NULL,
    holder            bigint,
    leased_at         timestamptz,
    -- When it became ready, or will.
    due_at            timestamptz NOT NULL,
    expires_at        timestamptz NOT NULL,
    last_attempt_at   timestamptz,
    number            int NOT NULL,
    -- Raised by each lease: a fence, not a count.
    attempt           int NOT NULL,
    -- Attempts that count for the back-off.
    tries             int NOT NULL DEFAULT 0,
    state             queue.unit_state NOT NULL,
    shard             smallint NOT NULL,
    -- How often a relay died while it held the unit.
    unclean_takeovers smallint NOT NULL DEFAULT 0,
    -- Whether it is the only unit that its message ever had.
    sole              boolean NOT NULL,
    -- Whether an operator wants it held once its lease ends.
    hold_requested    boolean NOT NULL DEFAULT false,
    -- The routing domain, in lower case.
    domain            text COLLATE "C" NOT NULL,
    -- Who is not settled yet: addresses, and their numbers within the message.
    recipients        bytea[] NOT NULL,
    recipient_numbers int[] NOT NULL,
    last_status       text,
    -- What was answered last, or why it is held.
    last_reply        text,
    PRIMARY KEY (shard, message, number),
    CHECK ((state = 'leased') = (holder IS NOT NULL)
           AND (state = 'leased') = (leased_at IS NOT NULL)
           AND cardinality(recipients) > 0
           AND cardinality(recipients) = cardinality(recipient_numbers))
) WITH (
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 1,
    vacuum_truncate = false
);

-- Ready and deferred work never share an index. Freshly leased mail touches only the last one.
CREATE INDEX unit_ready ON queue.unit (shard, tenant, domain, due_at, message, number)
    WHERE state = 'ready' AND unclean_takeovers < 2;
CREATE INDEX unit_suspect ON queue.unit (shard, due_at)
    WHERE state = 'ready' AND unclean_takeovers >= 2;
CREATE INDEX unit_expiry ON queue.unit (shard, tenant, domain, expires_at)
    WHERE state = 'ready';
CREATE INDEX unit_deferred ON queue.unit (shard, due_at)
    WHERE state = 'deferred';
CREATE INDEX unit_leased ON queue.unit (holder, leased_at)
    WHERE state = 'leased';

-- Destinations that are suspended, or ramping up after a suspension. All others have no row.
CREATE TABLE queue.destination (
    tenant           bigint NOT NULL,
    domain           text COLLATE "C" NOT NULL,
    -- No mail before; then one probe. Null: open.
    suspended_until  timestamptz,
    -- Failures in a row.
    failures         int NOT NULL,
    last_failure_at  timestamptz NOT NULL,
    last_reply       text NOT NULL,
    -- The route that failed, in the relay's words: when it changes, the destination reopens.
    route            text NOT NULL,
    -- Units that a claim may take while the destination is reopening; null: as many as ever.
    ramp             int,
    -- Who probes. A probe is a lease: it lapses with its holder, or after some minutes.
    probe_holder     bigint,
    probe_started_at timestamptz,
    PRIMARY KEY (tenant, domain),
    CHECK (ramp > 0),
    CHECK ((probe_holder IS NULL) = (probe_started_at IS NULL))
) WITH (fillfactor = 70);

-- Running relays, and those that ended a short while ago.
CREATE TABLE queue.incarnation (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    address     text NOT NULL,
    node        text NOT NULL,
    version     text NOT NULL,
    started_at  timestamptz NOT NULL DEFAULT now(),
    heartbeat   bigint NOT NULL DEFAULT 0,
    -- Pronounced dead by another.
    fenced_at   timestamptz,
    -- Ended in good order.
    ended_at    timestamptz,
    -- Leases taken before are known to be reclaimed.
    swept_until timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 50);

CREATE VIEW queue.live_incarnation AS
    SELECT id, address, node, version, started_at, heartbeat
    FROM queue.incarnation
    WHERE fenced_at IS NULL AND ended_at IS NULL;

-- Whether the right to probe a destination is free: a probe lapses with the relay that makes it,
-- and after some minutes.
CREATE FUNCTION queue.may_probe(destination queue.destination) RETURNS boolean
    LANGUAGE sql STABLE AS $$
    SELECT destination.probe_holder IS NULL
        OR destination.probe_started_at < now() - interval '10 minutes'
        OR NOT EXISTS (SELECT FROM queue.live_incarnation WHERE id = destination.probe_holder)
$$;
