-- Schema 2, SQLite: evidence. Big rows, so the table has a rowid and its key a tree of its own.
CREATE TABLE evidence (
    sha256 BLOB NOT NULL PRIMARY KEY,
    content BLOB NOT NULL
);
