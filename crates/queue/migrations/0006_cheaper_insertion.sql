-- Each statement that writes to a table reads the text of its checks and compiles them anew: a fifth of what it costs
-- Postgres to insert a message, and part of how long a client waits for its `250`. What they said is held by the types of
-- the program that writes, and by its tests.
ALTER TABLE queue.message DROP CONSTRAINT message_check;
ALTER TABLE queue.unit DROP CONSTRAINT unit_check;

-- The content of a message with a single unit, whose row is never updated. Of others it is in queue.content.
ALTER TABLE queue.message ADD COLUMN content bytea;
ALTER TABLE queue.message ALTER COLUMN content SET STORAGE EXTERNAL;
ALTER TABLE queue.message SET (
    fillfactor = 100,
    toast_tuple_target = 8160,
    toast.autovacuum_vacuum_scale_factor = 0.02,
    toast.autovacuum_vacuum_threshold = 4000,
    toast.autovacuum_vacuum_cost_delay = 1,
    toast.vacuum_truncate = false
);

-- An older program would not find that content.
UPDATE queue.compatibility SET version = 2, serves_from = 2;
