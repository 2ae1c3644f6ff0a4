-- One row for each object that has an alarm.
CREATE TABLE alarm (
    object    TEXT    PRIMARY KEY,
    id        INTEGER NOT NULL, -- of this alarm: the next one that is set has another
    scheduled INTEGER NOT NULL, -- the time it was set for, milliseconds
    due       INTEGER NOT NULL, -- not before this time: scheduled, or that of the next attempt
    attempts  INTEGER NOT NULL  -- that failed
) WITHOUT ROWID;
CREATE INDEX alarm_due ON alarm (due, object);

-- One row for each $.every of the scripts.
CREATE TABLE schedule (
    name TEXT    PRIMARY KEY,
    cron TEXT    NOT NULL,
    last INTEGER NOT NULL -- every run up to this time is in the outbox, milliseconds
) WITHOUT ROWID;
