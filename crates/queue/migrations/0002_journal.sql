-- The journal of attempts, by day, and the ledger of recipients.

CREATE TABLE queue.attempt (
    at             timestamptz NOT NULL DEFAULT now(),
    message        uuid NOT NULL,
    incarnation    bigint NOT NULL,
    -- From acceptance to the end of the attempt.
    delay_ms       bigint NOT NULL,
    duration_ms    int NOT NULL,
    unit           int NOT NULL,
    attempt        int NOT NULL,
    shard          smallint NOT NULL,
    -- The lease was no longer held: nothing else was recorded.
    fenced         boolean NOT NULL,
    node           text NOT NULL,
    domain         text NOT NULL,
    reverse_path   bytea NOT NULL,
    recipients     bytea[] NOT NULL,
    outcome        text NOT NULL,
    status         text NOT NULL,
    reply          text NOT NULL,
    source_address inet,
    host           text,
    host_address   inet,
    tls            text,
    traceparent    text NOT NULL
) PARTITION BY RANGE (at);

CREATE INDEX attempt_message ON queue.attempt (message);

-- Takes what no other partition takes: the journal never refuses a row.
CREATE TABLE queue.attempt_default PARTITION OF queue.attempt DEFAULT;

-- Makes the partition of a day, and moves there what the default partition took meanwhile.
-- Attaching, other than creating in place, doesn't block those who write to other partitions.
CREATE FUNCTION queue.ensure_partition(day date) RETURNS boolean
    LANGUAGE plpgsql SET lock_timeout = '2s' AS $$
DECLARE
    partition  text := 'attempt_' || to_char(day, 'YYYYMMDD');
    day_begin  timestamptz := day::timestamp AT TIME ZONE 'UTC';
    day_end    timestamptz := (day + 1)::timestamp AT TIME ZONE 'UTC';
BEGIN
    IF to_regclass('queue.' || partition) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE queue.%I (LIKE queue.attempt INCLUDING DEFAULTS)', partition);
    -- No row for that day may slip into the default partition between moving and attaching.
    LOCK TABLE queue.attempt_default IN SHARE ROW EXCLUSIVE MODE;
    EXECUTE format(
        'WITH moved AS (DELETE FROM queue.attempt_default WHERE at >= $1 AND at < $2 RETURNING *)
         INSERT INTO queue.%I SELECT * FROM moved', partition)
        USING day_begin, day_end;
    EXECUTE format('ALTER TABLE queue.attempt ATTACH PARTITION queue.%I FOR VALUES FROM (%L) TO (%L)',
        partition, day_begin, day_end);
    RETURN true;
END
$$;

-- Makes the partitions of today and of the days ahead; tells how many were missing.
CREATE FUNCTION queue.ensure_partitions(days_ahead int DEFAULT 7) RETURNS int
    LANGUAGE sql AS $$
    SELECT count(*) FILTER (WHERE queue.ensure_partition((now() AT TIME ZONE 'UTC')::date + ahead))::int
    FROM generate_series(0, days_ahead) AS ahead
$$;

-- Drops the partitions of days before `oldest`; tells how many.
CREATE FUNCTION queue.drop_partitions(oldest date) RETURNS int
    LANGUAGE plpgsql SET lock_timeout = '2s' AS $$
DECLARE
    partition regclass;
    dropped   int := 0;
BEGIN
    FOR partition IN
        SELECT child.oid::regclass
        FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
        WHERE inhparent = 'queue.attempt'::regclass
          AND child.relname ~ '^attempt_[0-9]{8}$'
          AND child.relname < 'attempt_' || to_char(oldest, 'YYYYMMDD')
    LOOP
        EXECUTE format('DROP TABLE %s', partition);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$$;

SELECT queue.ensure_partitions();

CREATE TYPE queue.ledger_event AS ENUM
    ('accepted', 'delivered', 'failed', 'expired', 'cancelled', 'discarded');

-- Appended in the very transactions that are counted, and folded later: no hot counter row.
CREATE TABLE queue.ledger_delta (
    tenant     bigint NOT NULL,
    recipients bigint NOT NULL,
    event      queue.ledger_event NOT NULL,
    shard      smallint NOT NULL
) WITH (
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 2000,
    vacuum_truncate = false
);

CREATE TABLE queue.ledger (
    tenant     bigint NOT NULL,
    recipients numeric NOT NULL,
    event      queue.ledger_event NOT NULL,
    PRIMARY KEY (tenant, event)
) WITH (fillfactor = 50);

-- Folds at most `most` deltas; tells how many. One transaction, so that no sum is ever off.
CREATE FUNCTION queue.fold_ledger(most int DEFAULT 50000) RETURNS bigint
    LANGUAGE sql AS $$
    WITH taken AS (
        DELETE FROM queue.ledger_delta
        WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM queue.ledger_delta LIMIT most FOR UPDATE SKIP LOCKED))
        RETURNING tenant, event, recipients
    ),
    summed AS (
        SELECT tenant, event, sum(recipients) AS recipients, count(*) AS deltas
        FROM taken GROUP BY tenant, event ORDER BY tenant, event
    ),
    folded AS (
        INSERT INTO queue.ledger AS l (tenant, event, recipients)
        SELECT tenant, event, recipients FROM summed
        ON CONFLICT (tenant, event) DO UPDATE SET recipients = l.recipients + EXCLUDED.recipients
    )
    SELECT coalesce(sum(deltas), 0)::bigint FROM summed
$$;
