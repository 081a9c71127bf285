-- Schema 2, PostgreSQL: evidence.
CREATE TABLE evidence (
    sha256 bytea NOT NULL PRIMARY KEY,
    content bytea NOT NULL
);
