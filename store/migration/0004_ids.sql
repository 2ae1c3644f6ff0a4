-- Ids begin with the time at which they were made: no id that is stored has this one
-- or a later one, milliseconds.
ALTER TABLE owner ADD COLUMN ids_until INTEGER NOT NULL DEFAULT 0;
