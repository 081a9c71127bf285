#!/usr/bin/env python3
"""Recomputes, independently of the hub, the document that `hansa replay --data FILE --terms FILE --json` prints.

Written from the description of the data and of the domain alone, with none of the hub's code: it walks through the
rows in file order, keeps every lot of every member, lets the lots expire and the cycles close at their instants, and
sums. Standard library only (Python 3.11+), integers only: money is micro-units, rates are exact fractions.

    replay_oracle.py --data FILE.csv[.gz] --terms FILE.toml [--compare DOCUMENT.json]

Prints the document, or with --compare every difference to the given one (exit status 1 when there is any).
"""

import argparse
import csv
import gzip
import heapq
import io
import json
import re
import sys
import tomllib
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from zoneinfo import ZoneInfo

COLUMNS = ["occurred_at", "basket_id", "household_id", "store_id", "merchant", "items", "spend_cents", "coupon_cents"]
PROGRAMME_KEYS = {
    "name", "currency", "time_zone", "reserve_per_point", "face_points_per_unit", "expiry_months", "burn_order",
    "negative_balance", "cycle",
}
INFORMATION_KEYS = {"name", "face_points_per_unit"}  # take no part in settlement
MERCHANT_KEYS = {
    "funding", "points_per_unit", "service_fee_per_point", "redemption_fee_bps", "breakage_share_bps",
}


class Refused(Exception):
    """Terms or data that this oracle has no rule for."""


# --- Terms -----------------------------------------------------------------------------------------------------


def exact(value, what):
    """An exact number from a TOML string or number."""
    try:
        number = Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        raise Refused(f"{what}: {value!r} is not a decimal number") from None
    if not number.is_finite() or number < 0:
        raise Refused(f"{what}: {value!r} is not a finite number of at least 0")
    return Fraction(number)


def micros(value, what):
    """An amount of currency units per point as whole micro-units; more than 6 decimals are refused."""
    amount = exact(value, what) * 1_000_000
    if amount.denominator != 1:
        raise Refused(f"{what}: {value!r} has more than 6 decimals")
    return amount.numerator


def whole(value, what, low, high):
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise Refused(f"{what}: {value!r} is not a whole number from {low} to {high}")
    return value


class Contract:
    """Terms of one merchant."""

    def __init__(self, table, what):
        unknown = set(table) - MERCHANT_KEYS
        missing = MERCHANT_KEYS - set(table)
        if unknown or missing:
            raise Refused(f"{what}: unknown keys {sorted(unknown)}, missing keys {sorted(missing)}")
        if table["funding"] not in ("ISSUE", "BURN"):
            raise Refused(f"{what}.funding: {table['funding']!r}")
        self.paid_at_issue = table["funding"] == "ISSUE"
        self.points_per_unit = exact(table["points_per_unit"], f"{what}.points_per_unit")
        self.service_fee = micros(table["service_fee_per_point"], f"{what}.service_fee_per_point")
        self.redemption_fee_bps = whole(table["redemption_fee_bps"], f"{what}.redemption_fee_bps", 0, 10_000)
        self.breakage_share_bps = whole(table["breakage_share_bps"], f"{what}.breakage_share_bps", 0, 10_000)

    def points_for(self, spend_cents):
        return spend_cents * self.points_per_unit.numerator // (100 * self.points_per_unit.denominator)


class Terms:
    """The programme's terms and every merchant's."""

    def __init__(self, text):
        document = tomllib.loads(text, parse_float=Decimal)
        unknown = set(document) - {"programme", "default", "merchant"}
        missing = {"programme", "default"} - set(document)
        if unknown or missing:
            raise Refused(f"unknown tables {sorted(unknown)}, missing tables {sorted(missing)}")
        programme = document["programme"]
        unknown = set(programme) - PROGRAMME_KEYS
        missing = PROGRAMME_KEYS - INFORMATION_KEYS - set(programme)
        if unknown or missing:
            raise Refused(f"programme: unknown keys {sorted(unknown)}, missing keys {sorted(missing)}")
        if not re.fullmatch("[A-Z]{3}", programme["currency"]):
            raise Refused(f"programme.currency: {programme['currency']!r}")
        if programme["burn_order"] != "FEFO":
            raise Refused(f"programme.burn_order: {programme['burn_order']!r}")
        if programme["negative_balance"] not in ("DEBT", "FLOOR", "REJECT"):  # takes no part: a replay has no returns
            raise Refused(f"programme.negative_balance: {programme['negative_balance']!r}")
        if programme["cycle"] not in ("monthly", "weekly", "daily"):
            raise Refused(f"programme.cycle: {programme['cycle']!r}")
        self.cycle = programme["cycle"]
        self.zone = UTC if programme["time_zone"] == "UTC" else ZoneInfo(programme["time_zone"])
        self.reserve = micros(programme["reserve_per_point"], "programme.reserve_per_point")
        self.expiry_months = whole(programme["expiry_months"], "programme.expiry_months", 1, 1_200)
        self._default = document["default"]
        self._overrides = document.get("merchant", {})
        self._contracts = {}
        for merchant in self._overrides:
            self.contract(merchant)

    def contract(self, merchant):
        if merchant not in self._contracts:
            table = self._default | self._overrides.get(merchant, {})
            self._contracts[merchant] = Contract(table, f"merchant.{merchant}")
        return self._contracts[merchant]

    # Instants are datetimes in UTC; dates are the programme's.

    def date_of(self, instant):
        return instant.astimezone(self.zone).date()

    def start_of(self, day):
        return datetime(day.year, day.month, day.day, tzinfo=self.zone).astimezone(UTC)

    def expiry_of_a_lot_posted(self, day):
        """The first instant at which the lot cannot be used."""
        return self.start_of(add_months(day, self.expiry_months))

    def close_behind(self, instant):
        """The first closing instant of a cycle that lies behind `instant`."""
        day = self.date_of(instant)
        if self.cycle == "monthly":
            close = add_months(day.replace(day=1), 1)
        elif self.cycle == "weekly":
            close = day + timedelta(days=7 - day.weekday())
        else:
            close = day + timedelta(days=1)
        return self.start_of(close)


def add_months(day, months):
    """The same day `months` months on, or that month's last day where it has no such day."""
    year, month0 = divmod(day.year * 12 + day.month - 1 + months, 12)
    first_of_next = date(year + (month0 == 11), (month0 + 1) % 12 + 1, 1)
    last = (first_of_next - timedelta(days=1)).day
    return date(year, month0 + 1, min(day.day, last))


# --- Rows ------------------------------------------------------------------------------------------------------


def read_rows(path):
    """The rows of a data file in file order, as tuples (occurred_at, household, merchant, spend, coupon)."""
    with open(path, "rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        with io.TextIOWrapper(gzip.open(raw) if packed else raw, encoding="utf-8", newline="") as text:
            reader = csv.reader(text)
            header = next(reader, None)
            if header is None or sorted(header) != sorted(COLUMNS):
                raise Refused(f"columns are {header}, not {COLUMNS}")
            at, basket, household, _, merchant, _, spend, coupon = (header.index(name) for name in COLUMNS)
            seen = set()
            previous = None
            for number, row in enumerate(reader, start=2):
                occurred_at = datetime.fromisoformat(row[at])
                if occurred_at.tzinfo is None:
                    raise Refused(f"line {number}: occurred_at without a zone: {row[at]!r}")
                occurred_at = occurred_at.astimezone(UTC)
                if previous is not None and occurred_at < previous:
                    raise Refused(f"line {number}: rows are not ordered by time")
                previous = occurred_at
                spend_cents, coupon_cents = int(row[spend]), int(row[coupon])
                if spend_cents < 0 or coupon_cents < 0:
                    raise Refused(f"line {number}: negative amount")
                if (row[basket], row[merchant]) in seen:
                    raise Refused(f"line {number}: basket and merchant stand in an earlier row")
                seen.add((row[basket], row[merchant]))
                yield occurred_at, row[household], row[merchant], spend_cents, coupon_cents


# --- The ledger ------------------------------------------------------------------------------------------------


class Lot:
    __slots__ = ("expires_at", "posted_at", "number", "funder", "remaining")

    def __init__(self, expires_at, posted_at, number, funder, points):
        self.expires_at, self.posted_at, self.number = expires_at, posted_at, number
        self.funder, self.remaining = funder, points

    def __lt__(self, other):
        return (self.expires_at, self.posted_at, self.number) < (other.expires_at, other.posted_at, other.number)


class Member:
    __slots__ = ("lots", "balance")

    def __init__(self):
        self.lots = []  # heap in burn order; used-up and expired lots leave it when they come to the top
        self.balance = 0


class Cycle:
    def __init__(self):
        self.nets = defaultdict(int)  # 1100.merchant, debit positive: what the merchant owes
        self.pairs = defaultdict(int)
        self.reserve = self.service_fee = self.redemption_fee = self.breakage = 0

    def document(self, closes_at):
        hub = self.reserve + self.service_fee + self.redemption_fee + self.breakage
        if sum(self.nets.values()) != hub:
            raise AssertionError(f"cycle {closes_at}: nets do not sum to the hub's side")
        return {
            "closes_at": closes_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "net_micros": {m: n for m, n in sorted(self.nets.items()) if n},
            "hub_micros": {
                "reserve": self.reserve,
                "service_fee": self.service_fee,
                "redemption_fee": self.redemption_fee,
                "breakage": self.breakage,
            },
            "pair_points": {pair: n for pair, n in sorted(self.pairs.items()) if n},
        }


class Replay:
    def __init__(self, terms):
        self.terms = terms
        self.members = defaultdict(Member)
        self.lots_posted = 0
        self.expiring = {}  # expiry instant -> [(member, lot)]
        self.expiry_instants = []  # heap
        self.cycle = Cycle()
        self.cycles = []
        self.closes_at = None
        self.day_start = self.day_end = datetime.min.replace(tzinfo=UTC)
        self.expires_at = None  # of lots posted on that day
        self.counts = dict.fromkeys(
            ["accruals", "redemptions", "redemptions_refused", "issued_points", "redeemed_points", "expired_points"], 0
        )

    def run(self, rows):
        for row in rows:
            self.take(*row)
        if self.closes_at is not None:
            # The data's description moves the clock to 2018-02-01 behind the last row; rows that go further, to their close.
            self.bring_up_to(max(self.closes_at, self.terms.start_of(date(2018, 2, 1))))
        return self.document()

    def take(self, occurred_at, household, merchant, spend_cents, coupon_cents):
        """One row."""
        self.move_clock(occurred_at)
        member = self.members[household]
        if coupon_cents > 0:
            self.redeem(member, merchant, coupon_cents)
        if spend_cents > 0:
            self.accrue(member, merchant, spend_cents, occurred_at)

    def move_clock(self, instant):
        if self.closes_at is None:
            self.closes_at = self.terms.close_behind(instant)
        self.bring_up_to(instant)
        if not self.day_start <= instant < self.day_end:
            day = self.terms.date_of(instant)
            self.day_start = self.terms.start_of(day)
            self.day_end = self.terms.start_of(day + timedelta(days=1))
            self.expires_at = self.terms.expiry_of_a_lot_posted(day)

    def bring_up_to(self, instant):
        """All that is due at or before `instant`: expiries first, then the close of a cycle, and so on."""
        while True:
            expiry = self.expiry_instants[0] if self.expiry_instants else None
            if expiry is not None and expiry <= instant and expiry <= self.closes_at:
                self.expire(heapq.heappop(self.expiry_instants))
            elif self.closes_at <= instant:
                self.cycles.append(self.cycle.document(self.closes_at))
                self.cycle = Cycle()
                self.closes_at = self.terms.close_behind(self.closes_at)
            else:
                return

    def accrue(self, member, merchant, spend_cents, occurred_at):
        self.counts["accruals"] += 1
        contract = self.terms.contract(merchant)
        points = contract.points_for(spend_cents)
        if points == 0:
            return
        self.counts["issued_points"] += points
        value, fee = points * self.terms.reserve, points * contract.service_fee
        self.cycle.nets[merchant] += fee
        self.cycle.service_fee += fee
        if contract.paid_at_issue:
            self.cycle.nets[merchant] += value
            self.cycle.reserve += value
        self.lots_posted += 1
        lot = Lot(self.expires_at, occurred_at, self.lots_posted, merchant, points)
        heapq.heappush(member.lots, lot)
        member.balance += points
        if self.expires_at not in self.expiring:
            self.expiring[self.expires_at] = []
            heapq.heappush(self.expiry_instants, self.expires_at)
        self.expiring[self.expires_at].append((member, lot))

    def redeem(self, member, merchant, points):
        if member.balance < points:
            self.counts["redemptions_refused"] += 1
            return
        self.counts["redemptions"] += 1
        self.counts["redeemed_points"] += points
        member.balance -= points
        wanted = points
        while wanted:
            lot = member.lots[0]
            taken = min(lot.remaining, wanted)
            lot.remaining -= taken
            wanted -= taken
            if lot.remaining == 0:
                heapq.heappop(member.lots)
            if taken:
                value = taken * self.terms.reserve
                if self.terms.contract(lot.funder).paid_at_issue:
                    self.cycle.reserve -= value
                else:
                    self.cycle.nets[lot.funder] += value
                self.cycle.pairs[f"{lot.funder}>{merchant}"] += taken
        value = points * self.terms.reserve
        fee = value * self.terms.contract(merchant).redemption_fee_bps // 10_000
        self.cycle.nets[merchant] -= value - fee
        self.cycle.redemption_fee += fee

    def expire(self, instant):
        for member, lot in self.expiring.pop(instant):
            points, lot.remaining = lot.remaining, 0
            if points == 0:
                continue
            member.balance -= points
            self.counts["expired_points"] += points
            contract = self.terms.contract(lot.funder)
            if contract.paid_at_issue:
                value = points * self.terms.reserve
                share = value * contract.breakage_share_bps // 10_000
                self.cycle.reserve -= value
                self.cycle.nets[lot.funder] -= share
                self.cycle.breakage += value - share

    def document(self):
        open_lots = [lot for lots in self.expiring.values() for _, lot in lots]
        outstanding = sum(lot.remaining for lot in open_lots)
        counts = self.counts | {"outstanding_points": outstanding}
        spent = counts["redeemed_points"] + counts["expired_points"]
        if counts["issued_points"] - spent != outstanding:
            raise AssertionError("points issued, redeemed, expired and outstanding do not add up")
        if sum(member.balance for member in self.members.values()) != outstanding:
            raise AssertionError("balances do not add up to the points outstanding")
        paid = sum(lot.remaining for lot in open_lots if self.terms.contract(lot.funder).paid_at_issue)
        if sum(cycle["hub_micros"]["reserve"] for cycle in self.cycles) != paid * self.terms.reserve:
            raise AssertionError("the reserve is not the value of the paid points outstanding")
        return {"counts": counts, "cycles": self.cycles}


# --- Comparison and command line -------------------------------------------------------------------------------


def differences(expected, found, path="document"):
    """One line for each place where two documents differ."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted(expected.keys() | found.keys()):
            if key not in found:
                yield f"{path}.{key}: missing, expected {expected[key]!r}"
            elif key not in expected:
                yield f"{path}.{key}: unexpected {found[key]!r}"
            else:
                yield from differences(expected[key], found[key], f"{path}.{key}")
    elif isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            yield f"{path}: {len(found)} elements, expected {len(expected)}"
        for index, (one, other) in enumerate(zip(expected, found)):
            yield from differences(one, other, f"{path}[{index}]")
    elif type(expected) is not type(found) or expected != found:
        yield f"{path}: {found!r}, expected {expected!r}"


def recompute(data, terms):
    with open(terms, encoding="utf-8") as file:
        return Replay(Terms(file.read())).run(read_rows(data))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="rows to replay, CSV, gzip-compressed or not")
    parser.add_argument("--terms", required=True, help="terms, TOML")
    parser.add_argument("--compare", help="a document that `hansa replay --json` printed")
    arguments = parser.parse_args()
    try:
        document = recompute(arguments.data, arguments.terms)
    except Refused as refusal:
        sys.exit(f"refused: {refusal}")
    if arguments.compare is None:
        json.dump(document, sys.stdout, indent=1, ensure_ascii=False)
        print()
        return
    with open(arguments.compare, encoding="utf-8") as file:
        lines = list(differences(document, json.load(file)))
    print("\n".join(lines) or "equal")
    sys.exit(1 if lines else 0)


if __name__ == "__main__":
    main()
