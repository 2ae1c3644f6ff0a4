-- A handler has an object of its own, named as it is; one was shared by all handlers
-- of a file before.
UPDATE outbox      SET target = 'Handler/' || handler WHERE kind IN (1, 3);
UPDATE dead_letter SET target = 'Handler/' || handler WHERE kind IN (1, 3);

-- The first attempts for a target have next_at 0 and come in the order of seq; further
-- ones come when it is their time. Most rows are gone before they need outbox_due.
DROP INDEX outbox_target;
CREATE INDEX outbox_target ON outbox (target, next_at, seq);
CREATE INDEX outbox_due    ON outbox (next_at, seq) WHERE next_at > 0;

-- For counting them, which reads no letter then.
CREATE INDEX dead_letter_died ON dead_letter (died_at);
