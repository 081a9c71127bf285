-- Schema 5, PostgreSQL: the saved state of the keeper of flags, in parts.
CREATE TABLE fraud_state (
    part bigint NOT NULL PRIMARY KEY,
    size bigint NOT NULL,
    data bytea NOT NULL
);
