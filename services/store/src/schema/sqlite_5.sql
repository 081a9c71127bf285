-- Schema 5, SQLite: the saved state of the keeper of flags, in parts.
CREATE TABLE fraud_state (
    part INTEGER NOT NULL PRIMARY KEY,
    size INTEGER NOT NULL,
    data BLOB NOT NULL
);
