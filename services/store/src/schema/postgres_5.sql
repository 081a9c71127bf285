-- Schema 5, PostgreSQL.

-- The saved state of the keeper of flags, in parts.
CREATE TABLE fraud_state (
    part bigint NOT NULL PRIMARY KEY,
    size bigint NOT NULL,
    data bytea NOT NULL
);

-- Offers of merchants, and the feed that tells of their changes; beside the log.
CREATE TABLE offer (
    change bigint NOT NULL,
    changed_at bigint NOT NULL,
    merchant integer NOT NULL,
    withdrawn smallint NOT NULL,
    kind smallint NOT NULL,
    offer text COLLATE "C" NOT NULL,
    category text COLLATE "C" NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (merchant, offer)
);
CREATE UNIQUE INDEX offer_in_order_of_change ON offer (change);
CREATE INDEX offer_of_merchant_in_order_of_change ON offer (merchant, change);
CREATE INDEX offer_that_stands ON offer (merchant, offer) WHERE withdrawn = 0;
CREATE INDEX offer_of_category ON offer (category, merchant, offer) WHERE withdrawn = 0;
CREATE INDEX offer_of_kind ON offer (kind, merchant, offer) WHERE withdrawn = 0;

-- One row: the number of the last change. Whoever writes offers holds it until the commit, so numbers are seen in their order.
-- Its id tells this feed from that of another database.
CREATE TABLE offer_feed (
    id bigint NOT NULL PRIMARY KEY,
    last_change bigint NOT NULL
);
INSERT INTO offer_feed (id, last_change) VALUES ((random() * 9007199254740991)::bigint, 0);
