#!/usr/bin/env python3
"""Makes a data set and terms for a replay, other than the real ones: the same seed gives the same bytes.

Aims at what a ledger gets wrong: month ends and leap days, rows at midnight and in the last second of a day, equal
seconds, months without rows, redemptions of exactly what is there or one point more, purchases of nothing, rates and
fees with many decimals, merchants that pay at issue beside merchants that pay at redemption, ids with spaces and signs.
Standard library only (Python 3.11+).

    generate_case.py --seed N [--size small|medium] --out FOLDER    writes FOLDER/data.csv.gz and FOLDER/terms.toml
"""

import argparse
import csv
import gzip
import io
import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from replay_oracle import COLUMNS, Replay, Terms, add_months

SIZES = {  # rows, members, merchants, months: each an inclusive range
    "small": ((40, 400), (1, 12), (1, 8), (1, 15)),
    "medium": ((8_000, 12_000), (100, 400), (10, 40), (4, 18)),
}
NAMES = [
    "grocery", "fuel", "toys", "a", "9", "books & more", "food/drink", "h.o.m.e", "night_shop", "meat & fish/fresh",
    "drug-gm", "a b", "a-b", "a.b", "a/b", "a_b", "ab", "travel-leisure", "s" * 63, "spirits", "salad bar", "floral",
    "deli", "pastry", "0-zero", "z", "zz", "garden/centre", "photo & video", "postal_centre", "coupon", "unknown",
    "seafood", "cosmetics", "nutrition", "automotive", "restaurant", "frozen", "produce", "miscellaneous",
]
EARN_RATES = ["1", "0.5", "1.5", "2.75", "10", "0.01", "0.333333", "0.12345678", "3", "0"]
SERVICE_FEES = ["0", "0.0015", "0.00175", "0.000001", "0.02", "0.003333"]
FEE_BPS = [0, 1, 33, 200, 350, 9_999, 10_000]
BREAKAGE_BPS = [0, 1, 3_333, 5_000, 6_667, 9_999, 10_000]
RESERVES = ["0.008", "0.01", "0.000001", "0.007777", "1.25", "0.0099"]
FIRST_DAYS = [date(2016, 1, 31), date(2016, 2, 29), date(2017, 12, 31), date(2019, 8, 30), date(2023, 11, 1), date(2024, 2, 28)]
SECONDS_OF_DAY = [0, 1, 12 * 3_600, 86_398, 86_399]


def make_terms(rng, merchants):
    def contract(full):
        funding = rng.choice(["ISSUE", "BURN"])
        lines = [
            f'funding = "{funding}"',
            f'points_per_unit = "{rng.choice(EARN_RATES)}"',
            f'service_fee_per_point = "{rng.choice(SERVICE_FEES)}"',
            f"redemption_fee_bps = {rng.choice(FEE_BPS)}",
            f"breakage_share_bps = {rng.choice(BREAKAGE_BPS)}",
        ]
        return lines if full else rng.sample(lines, rng.randint(1, len(lines)))

    lines = [
        "[programme]",
        'name = "Generated alliance"',
        'currency = "EUR"',
        'time_zone = "UTC"',
        f'reserve_per_point = "{rng.choice(RESERVES)}"',
        f"face_points_per_unit = {rng.choice([1, 100, 250])}",
        f"expiry_months = {rng.choice([1, 1, 1, 2, 2, 3, 4, 5, 6, 8, 11, 12])}",
        'burn_order = "FEFO"',
        'negative_balance = "DEBT"',
        'cycle = "monthly"',
        "",
        "[default]",
        *contract(full=True),
    ]
    # Some merchants on the default terms; one table for a merchant that never sends anything.
    for merchant in sorted(rng.sample(merchants, rng.randint(0, len(merchants)))) + ["never seen"]:
        lines += ["", f'[merchant."{merchant}"]', *contract(full=False)]
    return "\n".join(lines) + "\n"


def make_instants(rng, rows, months):
    """Ordered instants of the rows, crowded at month ends and day ends, with quiet months between."""
    first = rng.choice(FIRST_DAYS)
    days = []
    for month in range(months):
        start = add_months(first.replace(day=1), month)
        end = add_months(start, 1)
        in_month = [start + timedelta(days=d) for d in range((end - start).days)]
        if 0 < month < months - 1 and rng.random() < 0.2:
            continue  # a month in which only time passes
        days += [day for day in in_month if day >= first]
        days += [day for day in in_month[-3:] + in_month[:2] if day >= first] * 4
    instants = []
    while len(instants) < rows:
        day = rng.choice(days)
        second = rng.choice(SECONDS_OF_DAY) if rng.random() < 0.4 else rng.randrange(86_400)
        at = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=second)
        instants += [at] * rng.choice([1, 1, 1, 2, 5])
    return sorted(instants[:rows])


def make_rows(rng, rows, members, merchants, months, terms):
    # A ledger runs along, so that redemptions can ask for exactly what is there, or for one point more.
    ledger = Replay(Terms(terms))
    households = [str(number) for number in rng.sample(range(1, 10 * members + 1), members)]
    basket, receipt, on_receipt = 31_000_000_000, None, set()
    for at in make_instants(rng, rows, months):
        household = rng.choice(households)
        merchant = rng.choice(merchants)
        # A few departments on one receipt, as long as it is the same household in the same second.
        if receipt != (at, household) or merchant in on_receipt:
            basket += rng.randint(1, 9)
            receipt, on_receipt = (at, household), set()
        on_receipt.add(merchant)
        spend = rng.choice([0, 1, 99, 100, 101, rng.randint(1, 900), rng.randint(1, 20_000), rng.randint(1, 20_000)])
        if rng.random() < 0.002:
            spend = rng.randint(1_000_000, 50_000_000)
        coupon = 0
        if rng.random() < 0.3:
            ledger.move_clock(at)
            there = ledger.members[household].balance
            choices = [1, there, there + 1, there - 1, there // 2, there // 7, rng.randint(1, 300)]
            coupon = max(0, rng.choice(choices))
        ledger.take(at, household, merchant, spend, coupon)
        stamp = at.strftime("%Y-%m-%dT%H:%M:%SZ")
        yield [stamp, basket, household, rng.randint(1, 500), merchant, rng.randint(1, 30), spend, coupon]


def generate(seed, size):
    """Rows (header first) and the terms' text."""
    rng = random.Random(f"hansa {size} {seed}")
    rows, members, merchants, months = (rng.randint(low, high) for low, high in SIZES[size])
    names = rng.sample(NAMES, merchants)
    terms = make_terms(rng, names)
    return [COLUMNS, *make_rows(rng, rows, members, names, months, terms)], terms


def write(seed, size, folder):
    """Writes the case; returns the paths of data and terms."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows, terms = generate(seed, size)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    data_path, terms_path = folder / "data.csv.gz", folder / "terms.toml"
    data_path.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
    terms_path.write_text(terms, encoding="utf-8")
    return data_path, terms_path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--out", required=True, help="folder to write to; made if it is not there")
    arguments = parser.parse_args()
    for path in write(arguments.seed, arguments.size, arguments.out):
        print(path)


if __name__ == "__main__":
    main()
