#!/usr/bin/env python3
"""Hansa's CYCLE_CLEARING beside OR-tools' SimpleMinCostFlow, on the same generated networks, in one run.

    python3 -m venv venv && venv/bin/pip install ortools numpy
    cargo build --release
    venv/bin/python tests/bench/netting_ortools.py --hansa target/release/hansa

Not part of the tests. OBLGEN-1 is generated here by code of its own, so that a wrong generator or a wrong total shows: checks,
gross sums and optima must be equal, or the exit code is 1.

OR-tools gets the pairs of members with their obligations merged, and the problem in the form that suits it better: ship each
net debtor's balance to net creditors along original pairs at a cost of 1 each ("complement"); what is not used is cleared. With
--both-forms it solves the maximum circulation as such, too. Both programs take turns, each turn once, and the best counts;
"cpu" is processor time, which says more where the machine does other work. Time is that of the solver: of Hansa from
obligations in memory to the result in memory (merging included), of OR-tools its solve() alone.
"""

import argparse
import json
import math
import subprocess
import sys
import time

import numpy as np
from ortools.graph.python import min_cost_flow

CASES = [
    "sf:1000:10000:1",
    "tier:1000:10000:1",
    "sf:10000:100000:2",
    "tier:10000:100000:2",
    "sf:2000:1000000:4",
    "tier:100000:1000000:3",
    "sf:100000:1000000:3",
]


def uniform(seed, k):
    """Draws k of SplitMix64 in counter form, as doubles from 0 to 1."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + k * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


def oblgen(family, n, m, seed):
    """OBLGEN-1: debtors, creditors, amounts."""
    j = np.arange(m, dtype=np.uint64)
    u = [uniform(seed, np.uint64(6) * j + np.uint64(i)) for i in range(1, 7)]

    def rank(x):
        return np.minimum(np.floor(n * x * x * np.sqrt(x)), n - 1).astype(np.int64)

    debtor, r = rank(u[0]), rank(u[1])
    creditor = np.where(u[2] < 0.5, r, (7919 * r + 12345) % n)
    if family == "tier":

        def tier(x):
            return (x * 2654435761) % 8

        swap = (u[5] < 0.9) & (tier(debtor) > tier(creditor))
        debtor, creditor = np.where(swap, creditor, debtor), np.where(swap, debtor, creditor)
    creditor = np.where(debtor == creditor, (creditor + 1) % n, creditor)
    normal = np.sqrt(-2 * np.log(1 - u[3])) * np.cos(2 * math.pi * u[4])
    amount = np.maximum(1, np.round(np.exp(math.log(10000) + 1.8 * normal))).astype(np.int64)
    return debtor, creditor, amount


def check_value(debtor, creditor, amount):
    rows = zip(debtor[:10000].tolist(), creditor[:10000].tolist(), amount[:10000].tolist())
    total = sum((j + 1) * (31 * d + 17 * c + a) for j, (d, c, a) in enumerate(rows))
    return total % (2**61 - 1)


def merged(n, debtor, creditor, amount):
    """One arc for each pair; no debts to oneself, which are cleared anyway."""
    pairs, place = np.unique(debtor * n + creditor, return_inverse=True)
    sums = np.zeros(len(pairs), dtype=np.int64)
    np.add.at(sums, place, amount)
    tail, head = pairs // n, pairs % n
    keep = tail != head
    return tail[keep], head[keep], sums[keep], int(sums[~keep].sum())


def ortools_solve(n, tail, head, capacity, form):
    """The most that is cleared, and solve()'s wall and processor time."""
    flow = min_cost_flow.SimpleMinCostFlow()
    cost = 1 if form == "complement" else -1
    flow.add_arcs_with_capacity_and_unit_cost(tail, head, capacity, np.full(len(tail), cost))
    supply = np.zeros(n, dtype=np.int64)
    if form == "complement":
        np.add.at(supply, tail, capacity)
        np.add.at(supply, head, -capacity)
    flow.set_nodes_supplies(np.arange(n), supply)
    wall, cpu = time.perf_counter(), time.process_time()
    status = flow.solve()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if status != flow.OPTIMAL:
        sys.exit(f"OR-tools found no optimum: {status}")
    cost = flow.optimal_cost()
    return (int(capacity.sum()) - cost if form == "complement" else -cost), wall, cpu


def hansa_solve(binary, family, n, m, seed):
    command = [binary, "bench", "netting", "--family", family, "--nodes", str(n), "--obligations", str(m)]
    command += ["--seed", str(seed), "--method", "CYCLE_CLEARING", "--runs", "1", "--json"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hansa", default="target/release/hansa", help="the program, built for release")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each")
    parser.add_argument("--both-forms", action="store_true", help="OR-tools solves the circulation as such, too")
    parser.add_argument("cases", nargs="*", default=CASES, metavar="FAMILY:NODES:OBLIGATIONS:SEED")
    args = parser.parse_args()
    forms = ["complement", "circulation"] if args.both_forms else ["complement"]
    wrong = 0
    print(f"{'network':24} {'cleared':>15} {'hansa s':>9} {'cpu':>7} {'MiB':>6} ", end="")
    print(" ".join(f"{'OR-tools ' + form:>22} {'cpu':>7} {'x':>5} {'x cpu':>5}" for form in forms))
    for case in args.cases:
        family, *numbers = case.split(":")
        n, m, seed = map(int, numbers)
        rows = oblgen(family, n, m, seed)
        tail, head, capacity, own = merged(n, *rows)
        hansa, others = [], {form: [] for form in forms}
        for _ in range(args.rounds):
            hansa.append(hansa_solve(args.hansa, family, n, m, seed))
            for form in forms:
                others[form].append(ortools_solve(n, tail, head, capacity, form))
        one = hansa[0]
        agreed = {run["cleared"] for run in hansa} | {r[0] + own for runs in others.values() for r in runs}
        right = (
            len(agreed) == 1
            and all(run["certificate_ok"] for run in hansa)
            and one["check"] == check_value(*rows)
            and one["gross"] == int(rows[2].sum())
        )
        wrong += not right
        wall, cpu = min(run["seconds"] for run in hansa), min(run["cpu_seconds"] for run in hansa)
        peak = max(run["peak_bytes"] or 0 for run in hansa) / 2**20
        line = f"{case:24} {one['cleared']:>15} {wall:>9.3f} {cpu:>7.2f} {peak:>6.1f} "
        for runs in others.values():
            their_wall, their_cpu = min(r[1] for r in runs), min(r[2] for r in runs)
            by_cpu = their_cpu / cpu if cpu > 0 else float("nan")
            line += f" {their_wall:>22.3f} {their_cpu:>7.2f} {their_wall / wall:>5.1f} {by_cpu:>5.1f}"
        print(line + ("" if right else "   THEY DIFFER"), flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
