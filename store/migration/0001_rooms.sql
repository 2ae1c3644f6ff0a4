-- Columns that hold an author's value have no type, so that SQLite converts nothing.
-- A sort value is a number or a text; what has none (null, objects, lists, missing)
-- is -9e999 (minus infinity), which JSON cannot hold and which sorts before all else.

CREATE TABLE thing (
    object  TEXT    NOT NULL, -- Room/general
    id      TEXT    NOT NULL,
    type    TEXT    NOT NULL,
    created INTEGER NOT NULL, -- milliseconds
    updated INTEGER NOT NULL,
    version INTEGER NOT NULL,
    sent            NOT NULL, -- sort value of the field sent
    fields  TEXT    NOT NULL CHECK (json_valid(fields)),
    PRIMARY KEY (object, id)
) WITHOUT ROWID; -- each index is a page more that a message has to write
CREATE INDEX thing_created ON thing (object, type, created, id);
CREATE INDEX thing_sent    ON thing (object, type, sent, id);

-- One row for each thing and each field that is declared in indexes.
CREATE TABLE thing_index (
    object TEXT NOT NULL,
    type   TEXT NOT NULL,
    field  TEXT NOT NULL,
    value       NOT NULL, -- sort value
    id     TEXT NOT NULL,
    PRIMARY KEY (object, type, field, value, id)
) WITHOUT ROWID;

-- The fields that thing_index has rows for: from the transaction that adds a row
-- here on, every write of a thing of that type keeps them. ready is 1 when the
-- things from before are in too.
CREATE TABLE thing_index_field (
    type  TEXT    NOT NULL,
    field TEXT    NOT NULL,
    ready INTEGER NOT NULL,
    PRIMARY KEY (type, field)
) WITHOUT ROWID;

CREATE TABLE key_value (
    object TEXT NOT NULL,
    key    TEXT NOT NULL,
    value  BLOB NOT NULL,
    PRIMARY KEY (object, key)
) WITHOUT ROWID;

CREATE TABLE outbox (
    seq      INTEGER PRIMARY KEY,
    kind     INTEGER NOT NULL,
    target   TEXT    NOT NULL,
    handler  TEXT    NOT NULL,
    id       TEXT    NOT NULL,
    type     TEXT    NOT NULL,
    source   TEXT    NOT NULL,
    data     BLOB    NOT NULL,
    at       INTEGER NOT NULL,
    hops     INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    next_at  INTEGER NOT NULL
);
CREATE INDEX outbox_target ON outbox (target, seq);

CREATE TABLE dead_letter (
    seq      INTEGER PRIMARY KEY,
    kind     INTEGER NOT NULL,
    target   TEXT    NOT NULL,
    handler  TEXT    NOT NULL,
    id       TEXT    NOT NULL,
    type     TEXT    NOT NULL,
    source   TEXT    NOT NULL,
    data     BLOB    NOT NULL,
    at       INTEGER NOT NULL,
    hops     INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    next_at  INTEGER NOT NULL,
    error    TEXT    NOT NULL,
    position TEXT    NOT NULL,
    died_at  INTEGER NOT NULL
);

-- The fencing token of the process that opened the database last.
CREATE TABLE owner (
    only  INTEGER PRIMARY KEY CHECK (only = 1),
    epoch INTEGER NOT NULL
);
INSERT INTO owner (only, epoch) VALUES (1, 0);
