"""`hansa replay` against the oracle: the whole way through signed messages, a hub of its own and a durable store."""

import json
import subprocess
import time
from pathlib import Path

import generate_case
import pytest
from replay_oracle import differences, recompute

SECONDS = 600  # after which a replay is given up


def command(hansa, data, terms, database):
    return [hansa, "replay", "--data", data, "--terms", terms, "--database", database, "--json"]


def replay(*arguments):
    """The document that a replay prints."""
    done = subprocess.run(command(*arguments), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, f"status {done.returncode}\n{done.stderr[-4000:]}"
    return json.loads(done.stdout)


def assert_equal(document, expected):
    lines = list(differences(expected, document))
    assert not lines, "\n".join(lines[:40])


@pytest.fixture(scope="module")
def year(journey):
    """What the oracle makes of the real year."""
    return recompute(*journey)


def test_the_real_year(hansa, database, journey, year):
    assert_equal(replay(hansa, *journey, database), year)


@pytest.mark.parametrize("seed", range(12))
def test_small_generated_alliances(hansa, database, tmp_path, seed):
    case = generate_case.write(seed, "small", tmp_path)
    assert_equal(replay(hansa, *case, database), recompute(*case))


@pytest.mark.parametrize("seed", range(2))
def test_medium_generated_alliances(hansa, database, tmp_path, seed):
    case = generate_case.write(seed, "medium", tmp_path)
    assert_equal(replay(hansa, *case, database), recompute(*case))


def test_a_replay_done_again_changes_nothing(hansa, database, tmp_path):
    case = generate_case.write(100, "medium", tmp_path)
    first = replay(hansa, *case, database)
    assert_equal(replay(hansa, *case, database), first)
    assert_equal(first, recompute(*case))


def children(pid):
    """Process ids of a process's children."""
    try:
        return [int(word) for task in Path(f"/proc/{pid}/task").iterdir() for word in (task / "children").read_text().split()]
    except FileNotFoundError:
        return []


def test_kills_in_the_middle_leave_nothing_lost_or_doubled(hansa, database, journey, year):
    """kill -9 of the hub and of the replay in turn, further into the year each time; then it runs to the end."""
    kills = {"hub": 0, "replay": 0}
    for number in range(6):
        victim = ("hub", "replay")[number % 2]
        quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        with subprocess.Popen(command(hansa, *journey, database), **quiet) as process:
            time.sleep(1 + number / 2)
            if process.poll() is None:
                hubs = children(process.pid)
                assert hubs, "the hub is a process of its own"
                target = process.pid if victim == "replay" else hubs[0]
                subprocess.run(["kill", "-KILL", str(target)], check=True)
                kills[victim] += 1
            process.wait(timeout=SECONDS)
    assert min(kills.values()) >= 2, f"too few replays were alive to be killed: {kills}"
    assert_equal(replay(hansa, *journey, database), year)


def with_programme(terms, key, value, folder):
    """A copy of terms in which one line of [programme] says something else."""
    lines = [f'{key} = "{value}"' if line.startswith(f"{key} =") else line for line in terms.read_text().splitlines()]
    path = folder / "other-terms.toml"
    path.write_text("\n".join(lines) + "\n")
    assert path.read_text() != terms.read_text()
    return path


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("time_zone", "Europe/Berlin"),
        ("time_zone", "America/Sao_Paulo"),
        ("cycle", "weekly"),
        ("cycle", "daily"),
        ("negative_balance", "FLOOR"),
        ("negative_balance", "REJECT"),
        ("currency", "USD"),
        ("burn_order", "LIFO"),
        ("cycle", "hourly"),
        ("negative_balance", "IGNORE"),
        ("currency", "euro"),
        ("time_zone", "Mars/Olympus"),
        ("reserve_per_point", "0.0000001"),
        ("reserve_per_point", "-1"),
    ],
)
def test_other_terms_work_or_are_refused_by_name(hansa, tmp_path, key, value):
    data, terms = generate_case.write(7, "small", tmp_path)
    terms = with_programme(terms, key, value, tmp_path)
    database = f"sqlite:{tmp_path / 'hub.sqlite'}"
    done = subprocess.run(
        command(hansa, data, terms, database), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS
    )
    if done.returncode == 0:
        assert_equal(json.loads(done.stdout), recompute(data, terms))
    else:
        assert key in done.stderr and value in done.stderr, done.stderr[-2000:]
        assert done.stdout.strip() == ""
