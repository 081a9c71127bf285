-- Schema 4, PostgreSQL: conversions by the participants that they concern.
CREATE TABLE conversion_party (
    participant integer NOT NULL,
    pos bigint NOT NULL,
    PRIMARY KEY (participant, pos)
);
