-- Schema 3, PostgreSQL: affiliates' links and touches, beside the log. Ids are time-ordered: rows are appended at the end.
CREATE TABLE tracking_link (
    link text COLLATE "C" NOT NULL PRIMARY KEY,
    affiliate integer NOT NULL,
    site integer NOT NULL,
    merchant integer NOT NULL,
    destination text NOT NULL,
    created_at bigint NOT NULL,
    ended_at bigint
);
CREATE INDEX tracking_link_in_order ON tracking_link (created_at, link);
CREATE INDEX tracking_link_of_affiliate ON tracking_link (affiliate, created_at, link);

CREATE TABLE touch (
    id bytea NOT NULL PRIMARY KEY,
    at_ms bigint NOT NULL,
    recorded_ms bigint NOT NULL,
    agent bigint NOT NULL,
    address bigint NOT NULL,
    network bigint NOT NULL,
    device bigint NOT NULL,
    merchant integer NOT NULL,
    affiliate integer NOT NULL,
    site integer NOT NULL,
    flags integer NOT NULL,
    marks integer NOT NULL,
    kind smallint NOT NULL,
    refused smallint NOT NULL,
    link text COLLATE "C" NOT NULL,
    code text COLLATE "C" NOT NULL,
    sub_id text COLLATE "C" NOT NULL,
    referrer_host text COLLATE "C" NOT NULL
);
CREATE INDEX touch_of_affiliate ON touch (affiliate, id);
CREATE INDEX touch_of_merchant ON touch (merchant, id);

CREATE TABLE touch_invalidation (
    id bytea NOT NULL PRIMARY KEY,
    at_ms bigint NOT NULL,
    reason text NOT NULL,
    actor text NOT NULL
);
