"""The ways on which each case is played: who asks, and by which route. And the one table of what makes no sense on which.

A way's name is asker-route: "qhttp-direct", "files-tunnel". `why_not` gives the reason where a case is not played on a way;
`as_played` the case as it is there.
"""
import fnmatch
from dataclasses import dataclass

from adversarial.lines import Line
from adversarial.routes import ROUTES, Route

CONNECT = "CONNECT"


@dataclass(frozen=True)
class Asker:
    """Who asks."""
    client: str                 # "module:callable"
    features: frozenset         # what a case may need
    is_pipelined: bool = False
    is_to_files: bool = False


ASKERS = {
    "qhttp": Asker("adversarial.client:client", frozenset({"inject", "expect100"})),
    "pipelined": Asker("adversarial.client:pipelined", frozenset({"inject", "expect100"}), is_pipelined=True),
    "client": Asker("adversarial.bulk_client:client", frozenset({"inject", "redirect", "decode"})),
    "files": Asker("adversarial.bulk_client:files", frozenset({"inject", "redirect", "decode", "resume"}), is_to_files=True),
    "pipelined_files": Asker("adversarial.bulk_client:pipelined_files", frozenset({"inject", "redirect", "decode", "resume"}),
                             is_pipelined=True, is_to_files=True),
}
WITHOUT = {                     # why an asker does not have a feature
    "redirect": "QHttp follows no redirects, as ever",
    "decode": "QHttp decodes no content, as ever",
    "resume": "only a Downloader has parts to continue",
    "expect100": "only QHttp sends Expect: 100-continue",
}


@dataclass(frozen=True)
class Way:
    name: str
    asker: Asker
    route: Route


WAYS = {f"{asker}-{route}": Way(f"{asker}-{route}", ASKERS[asker], ROUTES[route]) for asker in ASKERS for route in ROUTES}


def ways_like(patterns: list[str]) -> list[Way]:
    """The ways whose names one of the patterns fits; raises ValueError for a pattern that fits none."""
    for pattern in patterns:
        if not fnmatch.filter(WAYS, pattern):
            raise ValueError(f"no way is called {pattern}; there are {', '.join(WAYS)}")
    return [way for name, way in WAYS.items() if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]


def why_not(way: Way, case: dict) -> str | None:
    """Why a case makes no sense on a way; None where it is played."""
    asker = way.asker
    if case["method"] == CONNECT and not way.route.is_tunnel:
        return "it is about the answer of a proxy to CONNECT, and this route has none"
    for feature in case.get("needs", []):
        if feature not in asker.features and feature != "connect":
            return WITHOUT[feature]
    if asker.is_to_files and case["method"] not in ("GET", CONNECT):
        return "a Downloader writes files for GET alone"
    if asker.is_pipelined and (case["start"] == "connect" or case["method"] == CONNECT):
        return "it comes with the connection, and so before there is a line: nothing is sent ahead on a new one"
    if "redirect" in asker.features and not case["redirects"] and has_redirect(case):
        return "the answer is a redirect that is not to be followed, and this one follows or refuses"
    return None


def has_redirect(case: dict) -> bool:
    """Whether the answer is a redirect with a place to go to."""
    statuses = case.get("status", ())
    text = "".join(step.get("send", "") for step in case["server"]).lower()
    return "\nlocation:" in text and any(300 <= status < 400 for status in
                                         (statuses if isinstance(statuses, (list, tuple)) else [statuses]))


def as_played(way: Way, case: dict) -> dict:
    """A case as it is played and judged on a way."""
    played = dict(case)
    if way.asker.is_pipelined:
        line = Line.of(case)
        played |= {"probe": True, "n_behind": line.n_behind, "behind_may_fail": line.may_fail}
    return played
