"""ShardPlan: each row once, in shards of one host, and never more of a host in use than it allows."""
import random

import pytest

from qhttp.bulk.rate import RATE_MIN
from qhttp.bulk.shard_plan import ShardPlan, host_of

SEED = 8


def rows_of(**n_by_host):
    return [f"http://{host}/{n}" for host, n_rows in n_by_host.items() for n in range(n_rows)]


def plan_of(rows, *, n_workers=4, per_host=8, n_rows=10, window=1000):
    plan = ShardPlan(n_workers, per_host, n_rows, window)
    plan.add_source(iter(rows))
    return plan


def take_all(plan):
    taken = []
    while (shard := plan.take()) is not None:
        taken.append(shard)
    return taken


def test_plan_each_row_is_in_one_shard_with_its_number():
    rows = rows_of(a=25, b=3, c=40)
    plan, seen = plan_of(rows), {}
    while not plan.is_empty:
        for shard in take_all(plan):
            assert {host_of(row) for row in shard.rows} == {shard.host} and len(shard.rows) <= 10
            seen.update(zip(shard.numbers, shard.rows, strict=True))
            plan.give_back(shard)
    assert [seen[number] for number in sorted(seen)] == rows


def test_plan_one_host_is_shared_by_the_workers():
    shards = take_all(plan_of(rows_of(a=200), n_workers=4, per_host=8))
    assert [shard.n_lanes for shard in shards] == [2, 2, 2, 2]


@pytest.mark.parametrize("per_host, n_workers", [(8, 3), (2, 5), (1, 4), (7, 7)])
def test_plan_host_never_has_more_lanes_than_it_allows(per_host, n_workers):
    numbers = random.Random(SEED)
    plan = plan_of(rows_of(a=300, b=40, c=7), n_workers=n_workers, per_host=per_host)
    running = []
    while running or not plan.is_empty:
        running += take_all(plan)
        in_use = {}
        for shard in running:
            in_use[shard.host] = in_use.get(shard.host, 0) + shard.n_lanes
        assert max(in_use.values()) <= per_host
        plan.give_back(running.pop(numbers.randrange(len(running))))


def test_plan_many_hosts_go_round_with_all_their_lanes():
    shards = take_all(plan_of(rows_of(a=30, b=30, c=30, d=30)))
    assert [(shard.host, shard.n_lanes) for shard in shards] == [(host, 8) for host in "abcd"]


def test_plan_reads_no_further_than_its_window():
    n_read = 0

    def endless():
        nonlocal n_read
        while True:
            n_read += 1
            yield "http://a/"
    take_all(plan_of(endless(), window=50, per_host=1))
    assert n_read <= 60


def test_plan_dry_source_is_asked_again_when_told():
    plan = ShardPlan(1, 8, 10, 100)
    plan.add_source(iter(["http://a/1", None, "http://a/2"]))
    first = plan.take()
    assert first.rows == ["http://a/1"] and plan.take() is None and not plan.is_empty
    plan.give_back(first)
    plan.is_dry = False
    assert plan.take().rows == ["http://a/2"]


def test_plan_settings_share_what_a_host_allows():
    plan = plan_of(rows_of(a=100), n_workers=4, per_host=8)
    mine = plan.settings(plan.take(), {"host_rate": 10.0, "host_limit_rate": 1000, "limit_rate": 4000, "retries": 1})
    assert mine == {"host_rate": 2.5, "host_limit_rate": 250, "limit_rate": 1000, "retries": 1, "per_host": 2, "jobs": 2}


def test_plan_settings_share_the_least_rate_that_there_is():
    plan = plan_of(rows_of(a=100), n_workers=4, per_host=8)
    assert plan.settings(plan.take(), {"host_rate": RATE_MIN})["host_rate"] == RATE_MIN


def test_plan_rows_left_are_those_not_taken():
    rows = rows_of(a=30)
    plan = plan_of(rows, per_host=1)
    taken = plan.take()
    assert list(plan.rows_left()) == [row for row in rows if row not in taken.rows]


@pytest.mark.parametrize("row, host", [("http://u:p@Host:80/x", "host:80"), ({"url": "https://a/"}, "a"), (None, ""),
                                       ({}, ""), ("http://[::1", ""), (5, "")])
def test_host_of_any_row(row, host):
    assert host_of(row) == host
