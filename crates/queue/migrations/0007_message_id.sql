-- The Message-ID in the journal, so that a message is found by it when it is gone. Null where it was not at hand, or is
-- the queue id with our name. No index: it would cost every attempt, and a search looks at some days' partitions only.
ALTER TABLE queue.attempt ADD COLUMN message_id text;

CREATE OR REPLACE VIEW queue.attempts AS
    SELECT at, message AS queue_id, unit, attempt, incarnation, node, domain,
           queue.address_text(reverse_path) AS reverse_path,
           queue.address_texts(recipients) AS recipients,
           outcome, status, reply, host, host_address, source_address, tls,
           duration_ms, delay_ms, traceparent, fenced, message_id
    FROM queue.attempt;

UPDATE queue.compatibility SET version = 3;
