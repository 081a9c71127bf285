"""The oracle against figures that were computed elsewhere, and against ledgers small enough for a pencil."""

import gzip
import hashlib
from datetime import date
from itertools import count

import generate_case
import pytest
from replay_oracle import COLUMNS, Refused, Replay, Terms, add_months, differences, read_rows, recompute

TERMS = """
[programme]
currency = "EUR"
time_zone = "UTC"
reserve_per_point = "0.008"
expiry_months = {months}
burn_order = "FEFO"
negative_balance = "DEBT"
cycle = "monthly"
[default]
funding = "{funding}"
points_per_unit = "1"
service_fee_per_point = "0.0015"
redemption_fee_bps = 333
breakage_share_bps = 3333
[merchant."b & c/d"]
points_per_unit = "1.5"
"""


def replay(tmp_path, rows, months=6, funding="ISSUE"):
    """The document of rows (occurred_at, household, merchant, spend, coupon)."""
    numbers = count(1)
    lines = [",".join(COLUMNS)]
    lines += [f"{at},{next(numbers)},{household},1,{merchant},1,{spend},{coupon}" for at, household, merchant, spend, coupon in rows]
    data, terms = tmp_path / "data.csv", tmp_path / "terms.toml"
    data.write_text("\n".join(lines) + "\n")
    terms.write_text(TERMS.format(months=months, funding=funding))
    return recompute(data, terms)


def test_the_real_year_gives_the_published_figures(journey):
    document = recompute(*journey)
    assert document["counts"] == {
        "accruals": 385_854,
        "redemptions": 9_727,
        "redemptions_refused": 3_209,
        "issued_points": 4_527_937,
        "redeemed_points": 1_412_828,
        "expired_points": 1_480_978,
        "outstanding_points": 1_634_131,
    }
    nets = {cycle["closes_at"]: sum(cycle["net_micros"].values()) for cycle in document["cycles"]}
    assert nets == {
        "2017-02-01T00:00:00Z": 3_072_777_400,
        "2017-03-01T00:00:00Z": 2_701_412_290,
        "2017-04-01T00:00:00Z": 2_622_919_370,
        "2017-05-01T00:00:00Z": 2_555_552_140,
        "2017-06-01T00:00:00Z": 2_359_721_580,
        "2017-07-01T00:00:00Z": 2_479_861_512,
        "2017-08-01T00:00:00Z": 2_131_830_794,
        "2017-09-01T00:00:00Z": 1_833_306_761,
        "2017-10-01T00:00:00Z": 1_712_778_733,
        "2017-11-01T00:00:00Z": 1_999_226_114,
        "2017-12-01T00:00:00Z": 1_769_521_698,
        "2018-01-01T00:00:00Z": 2_258_984_807,
        "2018-02-01T00:00:00Z": -660_320_408,
    }


def test_the_real_year_is_the_published_file(journey):
    for path in journey:
        sums = (path.parent / "SHA256SUMS").read_text()
        assert f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" in sums


def test_the_published_counts_of_rows(journey):
    rows = list(read_rows(journey[0]))
    assert len(rows) == 391_326
    assert len({household for _, household, *_ in rows}) == 2_469
    assert sum(1 for *_, spend, coupon in rows if spend > 0 and coupon > 0) == 9_968


def test_a_pencil_ledger_with_prefunded_points(tmp_path):
    document = replay(
        tmp_path,
        [
            ("2017-01-30T10:00:00Z", "m", "a", 10_099, 0),  # 100 points of a
            ("2017-01-31T10:00:00Z", "m", "b & c/d", 101, 0),  # floor(1.515) = 1 point
            ("2017-01-31T11:00:00Z", "m", "b & c/d", 0, 41),  # 41 of a at b; fee floor(3.33 % of 328 000) = 10 922
            ("2017-01-31T12:00:00Z", "m", "a", 99, 61),  # one point too many; then an accrual of nothing
            ("2017-08-01T00:00:00Z", "m", "a", 0, 0),
        ],
    )
    assert document["counts"] == {
        "accruals": 3,
        "redemptions": 1,
        "redemptions_refused": 1,
        "issued_points": 101,
        "redeemed_points": 41,
        "expired_points": 60,
        "outstanding_points": 0,
    }
    # The row of 1 August is in the cycle that closes in September; the clock goes on to the data's last closing.
    closings = [f"2017-{m:02}" for m in range(2, 13)] + ["2018-01", "2018-02"]
    assert [cycle["closes_at"][:7] for cycle in document["cycles"]] == closings
    january, july = document["cycles"][0], document["cycles"][6]
    quiet = document["cycles"][1:6] + document["cycles"][7:]
    assert january["net_micros"] == {"a": 950_000, "b & c/d": 9_500 - (328_000 - 10_922)}
    assert january["hub_micros"] == {
        "reserve": 101 * 8_000 - 328_000, "service_fee": 151_500, "redemption_fee": 10_922, "breakage": 0,
    }  # fmt: skip
    assert january["pair_points"] == {"a>b & c/d": 41}
    for cycle in quiet:
        assert cycle["net_micros"] == cycle["pair_points"] == {}
        assert cycle["hub_micros"] == dict.fromkeys(("reserve", "service_fee", "redemption_fee", "breakage"), 0)
    # 59 points of a end on 30 July; the point of b on 31 July. Both in July: the share of each lot is floored.
    assert july["net_micros"] == {"a": -157_317, "b & c/d": -2_666}
    assert july["hub_micros"] == {"reserve": -480_000, "service_fee": 0, "redemption_fee": 0, "breakage": 320_017}


def test_a_pencil_ledger_with_points_paid_when_they_are_spent(tmp_path):
    document = replay(
        tmp_path,
        [
            ("2018-01-01T00:00:00Z", "m", "a", 1_000, 0),
            ("2018-01-01T00:00:00Z", "m", "b", 1_000, 15),  # redeemed first, before its own accrual: refused
            ("2018-01-01T00:00:00Z", "m", "b", 0, 15),  # 10 of a, then 5 of b, in file order within one second
        ],
        funding="BURN",
    )
    cycle = document["cycles"][0]
    assert cycle["pair_points"] == {"a>b": 10, "b>b": 5}
    assert cycle["net_micros"] == {"a": 15_000 + 80_000, "b": 15_000 + 40_000 - (120_000 - 3_996)}
    assert cycle["hub_micros"] == {"reserve": 0, "service_fee": 30_000, "redemption_fee": 3_996, "breakage": 0}
    assert document["counts"]["redemptions_refused"] == 1
    assert document["counts"]["outstanding_points"] == 5


def test_expiry_at_the_closing_instant_belongs_to_the_closing_cycle(tmp_path):
    rows = [("2017-12-01T00:00:00Z", "m", "a", 300, 0), ("2018-01-01T00:00:00Z", "m", "a", 100, 3)]
    document = replay(tmp_path, rows, months=1)
    december, january = document["cycles"]
    assert document["counts"]["redemptions_refused"] == 1, "the lot is gone at the instant at which it ends"
    assert december["hub_micros"]["breakage"] == 24_000 - 7_999
    assert january["net_micros"] == {"a": 9_500 - 2_666}, "the point of 1 January ends at the closing instant too"


def test_a_lot_that_ends_first_burns_first(tmp_path):
    rows = [  # 31 January + 1 month ends on 28 February, as 28 January + 1 month does
        ("2017-01-31T00:00:00Z", "m", "late", 100, 0),
        ("2017-02-01T00:00:00Z", "m", "later", 100, 0),
        ("2017-02-02T00:00:00Z", "m", "a", 0, 1),
    ]
    assert replay(tmp_path, rows, months=1)["cycles"][1]["pair_points"] == {"late>a": 1}


@pytest.mark.parametrize(
    ("posted", "months", "ends"),
    [
        (date(2017, 3, 31), 6, date(2017, 9, 30)),
        (date(2017, 8, 31), 6, date(2018, 2, 28)),
        (date(2019, 8, 31), 6, date(2020, 2, 29)),
        (date(2017, 1, 31), 1, date(2017, 2, 28)),
        (date(2017, 12, 1), 1, date(2018, 1, 1)),
        (date(2016, 2, 29), 12, date(2017, 2, 28)),
    ],
)
def test_months_are_clamped_to_their_last_day(posted, months, ends):
    assert add_months(posted, months) == ends


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (('reserve_per_point = "0.008"', 'reserve_per_point = "0.0000001"'), "more than 6 decimals"),
        (('burn_order = "FEFO"', 'burn_order = "LIFO"'), "burn_order"),
        (('funding = "ISSUE"', 'funding = "LATER"'), "funding"),
        (("breakage_share_bps = 3333", "breakage_share_bps = 10001"), "breakage_share_bps"),
        (('time_zone = "UTC"', 'time_zone = "UTC"\nspeed = 1'), "speed"),
        (('cycle = "monthly"', ""), "cycle"),
    ],
)
def test_terms_without_a_rule_are_refused_by_name(change, reason):
    text = TERMS.format(months=6, funding="ISSUE")
    assert change[0] in text
    with pytest.raises(Refused, match=reason):
        Terms(text.replace(*change))


def test_a_basket_sent_twice_is_refused(tmp_path):
    data = tmp_path / "data.csv"
    line = "2017-01-01T00:00:00Z,1,1,1,a,1,100,0\n"
    data.write_text(",".join(COLUMNS) + "\n" + line + line)
    with pytest.raises(Refused, match="line 3"):
        list(read_rows(data))


def test_no_rows_no_cycles(tmp_path):
    document = replay(tmp_path, [])
    assert document["cycles"] == []
    assert set(document["counts"].values()) == {0}


def test_differences_are_told_by_path():
    assert list(differences({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]})) == []
    assert list(differences({"a": [1]}, {"a": [2], "c": 0})) == ["document.a[0]: 2, expected 1", "document.c: unexpected 0"]
    assert list(differences({"a": 1}, {"a": 1.0})) == ["document.a: 1.0, expected 1"]


def test_generated_cases_are_reproducible_and_reach_every_rule(tmp_path):
    seen = dict.fromkeys(["redemptions", "redemptions_refused", "expired_points", "outstanding_points"], 0)
    for seed in range(20):
        data, terms = generate_case.write(seed, "small", tmp_path / "one")
        again, _ = generate_case.write(seed, "small", tmp_path / "other")
        assert gzip.decompress(data.read_bytes()) == gzip.decompress(again.read_bytes())
        document = Replay(Terms(terms.read_text())).run(read_rows(data))
        for key in seen:
            seen[key] += document["counts"][key] > 0
    assert min(seen.values()) >= 5, seen
