-- Schema 4, SQLite: conversions by the participants that they concern.
CREATE TABLE conversion_party (
    participant INTEGER NOT NULL,
    pos INTEGER NOT NULL,
    PRIMARY KEY (participant, pos)
) WITHOUT ROWID;
