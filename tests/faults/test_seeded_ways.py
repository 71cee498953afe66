"""Ways drawn from seeds: each file ends whole or with one of the errors that are documented, and nothing hangs.

QHTTP_WAY_SEEDS=1000 tries more of them than `make test` does.
"""
import os

import pytest
from faults.fetching import FILES, HONEST_ERRORS, IDLE_S, LARGE_NAMES, N_TRIES, SMALL_NAMES, Asker, fetch_files, row, url
from support.way_plans import FALSE, HONEST

import qhttp

N_SEEDS = int(os.environ.get("QHTTP_WAY_SEEDS", "5"))
ROWS = [*SMALL_NAMES[::2], *LARGE_NAMES]
SETTINGS = [
    {},
    {"pipelining": 8, "per_host": 2},
    {"split": 3, "min_split_size": 100_000},
    {"retries": 2},
    {"resume": False, "limit_rate": 20_000_000},
]


@pytest.mark.parametrize("location", ["plain", "chunked"])
@pytest.mark.parametrize("seed", range(N_SEEDS))
def test_files_over_a_drawn_way_end_whole_or_with_an_error_that_says_why(seeded_way, tmp_path, seed, location):
    settings = SETTINGS[seed % len(SETTINGS)]
    faulty = seeded_way(seed, n_faulty=8)
    rows = [row(faulty, name, location, with_checksum=False) for name in ROWS]
    seen = fetch_files(rows, tmp_path, **{"idle_timeout": IDLE_S, **settings})
    assert all(isinstance(transfer.error, HONEST_ERRORS) for transfer in seen.failed)
    assert settings.get("retries", N_TRIES) < 8 or seen.failed == []        # there were more tries than faults
    assert faulty.struck


@pytest.mark.parametrize("seed", range(N_SEEDS))
def test_files_stopped_and_gone_on_with_over_drawn_ways_are_whole(seeded_way, tmp_path, seed):
    """Runs without further tries, with a session: each goes on where the one before has left off."""
    faulty = seeded_way(seed, n_faulty=12, longest=500_000)
    left = {name: row(faulty, name, with_checksum=False) for name in ROWS}
    for _ in range(12):
        seen = fetch_files_again(list(left.values()), tmp_path)
        assert all(isinstance(transfer.error, HONEST_ERRORS) for transfer in seen.failed)
        for transfer in seen.finished:
            left.pop(transfer.url.rpartition("/")[2])
        if not left:
            break
    assert not left and faulty.struck
    assert {name: (tmp_path / name).read_bytes() for name in ROWS} == {name: FILES[name] for name in ROWS}
    assert [path.name for path in tmp_path.iterdir() if path.suffix] in ([".session"], ["a.session"])


def fetch_files_again(rows, folder):
    from bulk.downloads import Quick, download
    return download(rows, kind=Quick, dir=folder, session=folder / "a.session", retries=0, idle_timeout=IDLE_S, per_host=2)


@pytest.mark.parametrize("seed", range(N_SEEDS))
def test_requests_over_a_drawn_way_end_whole_or_with_an_error(seeded_way, seed):
    asker = Asker(seeded_way(seed, n_faulty=10, longest=200_000), ("plain", "chunked")[seed % 2])
    asker.wait_for_bytes(IDLE_S)
    for name in [*ROWS, *ROWS]:
        error, body = asker.get(name)
        assert FILES[name].startswith(body) and (error is not None or body == FILES[name])
    assert {error for _, error, _ in asker.outcomes} <= {
        None, "ConnectionRefused", "UnexpectedClose", "WrongContentLength", "UnknownError"}


@pytest.mark.parametrize("seed", range(N_SEEDS))
def test_client_over_a_drawn_way_that_changes_bytes_returns_or_raises(seeded_way, seed):
    """It may be any answer: nothing tells. But it is one, or an error of the documented tree."""
    faulty = seeded_way(seed, n_faulty=30, names=HONEST + FALSE, longest=30_000)
    with qhttp.Client(proxy=None, idle_timeout=IDLE_S, retries=1, max_time=2) as client:
        client._downloader.random = lambda: 0.0
        for name in SMALL_NAMES:
            try:
                assert client.get(url(faulty, name, ("plain", "chunked")[seed % 2])).status in range(200, 600)
            except qhttp.errors.QHttpError:
                pass
    assert faulty.struck
