"""The n-th call that the kernel or the allocator can refuse, refused, for every n: whole and right, or told to have failed.

    python tests/torture/nth_failure.py                                 # all scenes and the light cases
    python tests/torture/nth_failure.py --scenes files,pieces --kinds write,sync
    python tests/torture/nth_failure.py --sanitized build/sanitized/lib

Prints figures. Exit status 0: what was promised holds; 1: it does not.
"""
import argparse
import collections
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from adversarial.corpus import cases
from adversarial.ways import WAYS, why_not

from torture.campaign import Campaign, Crash, certificate_in
from torture.failing import KINDS, build, faults_of
from torture.interpreter import DIES, is_sound

ROOT = Path(__file__).resolve().parents[2]
BIG_EVERY = 16          # of allocations, where a scene makes very many
MANY = 400              # is so many
IN_LINE = ("pipelined", "ahead")        # scenes in which an answer could come to the wrong one: each call
LIGHT_S = 0.1           # a case that takes no longer is light
N_SHOWN = 5             # findings of one scene that are printed
CASE_WAYS = {"http": WAYS["qhttp-direct"], "bulk": WAYS["files-direct"]}     # what they do there, they do here
CASE_KINDS = ("allocate", "receive", "send", "poll", "watch", "option", "write")
# ssl itself crashes where OpenSSL has no memory.
NOT_ASKED = {("http", "tls", "allocate"), ("bulk", "tlsfiles", "allocate")}
HTTP = ("requests", "large", "unread", "pipelined", "named", "tls", "upload", "todevices", "inthread")
BULK = ("files", "synced", "withoutsession", "tries", "ahead", "pieces", "decoded", "limited", "resumed", "tlsfiles",
        "inmemory")


def bound(n_bad: int, n: int) -> str:
    """What so many runs can show: with none that failed, below 3/n with 95 % confidence (the rule of three)."""
    return f"{n_bad} of {n}" + (f", bound {3 / n:.1e}" if n and not n_bad else "")


class Tally:
    """What was seen of all scenes."""

    def __init__(self):
        self.n_runs, self.found, self.by_kind = 0, [], collections.Counter()

    def play(self, campaign: Campaign, kinds, given, chance: random.Random) -> None:
        began = time.monotonic()
        for fault in (fault for kind in kinds for fault in faults_of(kind)):
            if (campaign.family, campaign.name, fault.kind) in NOT_ASKED:
                continue
            every = given.every
            if fault.kind == "allocate" and not every:
                every = BIG_EVERY if campaign.name not in IN_LINE and campaign.n_calls(fault) > MANY else 1
            n_hit = campaign.play(fault, every or 1, 1 + chance.randrange(every or 1))
            self.n_runs += n_hit
            self.by_kind[fault.kind] += n_hit
        self.found += [(campaign, *one) for one in campaign.found]
        if campaign.found or given.verbose:
            print(f"{campaign.family} {campaign.name}: {campaign.n_runs} runs in {time.monotonic() - began:.1f} s, the longest "
                  f"{campaign.longest:.2f} s, {len(campaign.found)} not as promised", flush=True)
        for fault, n, text in campaign.found[:N_SHOWN]:
            print(f"  {fault}, call {n}: {text}", flush=True)


def light_cases(given) -> list[dict]:
    """Cases that come to their end at once."""
    return [case for case in cases().values() if not set(case.get("needs", [])) & {"connect", "inject"}
            and "truncate_each" not in case and all(set(step) & {"send", "b64", "close", "half_close", "reset", "await"}
                                                    for step in case["server"])]


def is_light(campaign: Campaign) -> bool:
    """Whether the scene takes so little time that it can be played thousands of times."""
    try:
        campaign.start()
    except Crash as crash:
        campaign.found.append((None, 0, str(crash)))
        return True
    campaign.n_calls(faults_of("sync")[0])
    return campaign.longest <= LIGHT_S


def sanitizers() -> str:
    """What has to be preloaded for a build with sanitizers."""
    return " ".join(subprocess.check_output(["gcc", f"-print-file-name={name}"], text=True).strip()
                    for name in ("libasan.so", "libubsan.so"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scenes", type=lambda text: text.split(","), help=f"of {', '.join(HTTP + BULK)}; 'none'")
    parser.add_argument("--cases", default="all", help="ids of adversarial cases; 'all' that are light, 'none'")
    parser.add_argument("--through", default="http,bulk", help="cases through QHttp (http), through a Downloader (bulk)")
    parser.add_argument("--kinds", type=lambda text: text.split(","), default=list(KINDS), help=", ".join(KINDS))
    parser.add_argument("--every", type=int, default=0,
                        help=f"only each so-many-th call; by itself 1, {BIG_EVERY} for allocations where a scene makes more "
                             f"than {MANY}")
    parser.add_argument("--every-case", type=int, default=4, help="only one in so many of the cases")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=60, help="then nothing new is begun")
    parser.add_argument("--sanitized", help="folder of a package built with sanitizers")
    parser.add_argument("--verbose", action="store_true")
    given = parser.parse_args()
    end, tally, chance = time.monotonic() + 60 * given.minutes, Tally(), random.Random(given.seed)
    package, before = (given.sanitized, sanitizers()) if given.sanitized else (str(ROOT), "")
    scenes = [(family, name) for family, names in (("http", HTTP), ("bulk", BULK)) for name in names
              if given.scenes is None or name in given.scenes]
    known, chosen = light_cases(given), []
    if given.cases != "none":
        chosen = known if given.cases == "all" else [cases()[name] for name in given.cases.split(",")]
        if given.cases == "all":
            chosen = chance.sample(chosen, len(chosen) // given.every_case)
    plays = [(family, name, None) for family, name in scenes]
    plays += [(family, case["id"], case) for family in given.through.split(",") for case in chosen
              if why_not(CASE_WAYS[family], case) is None]
    n_cases = 0
    with tempfile.TemporaryDirectory() as folder:
        library, certificate = build(folder), certificate_in(folder)
        if "allocate" in given.kinds and not is_sound(library):
            print(f"no allocation is refused: {DIES}")
            given.kinds.remove("allocate")
        for family, name, case in plays:
            if time.monotonic() > end:
                print("the time is up")
                break
            campaign = Campaign(library, family, name, case, certificate, package, before)
            try:
                if case is None or is_light(campaign):
                    kinds = [kind for kind in given.kinds if case is None or kind in CASE_KINDS]
                    tally.play(campaign, kinds, given, chance)
                    n_cases += 1
            finally:
                campaign.close()
    for kind, n in tally.by_kind.items():
        print(f"{kind:10} {n}")
    print(f"scenes and cases: {n_cases}, runs with something failing: {tally.n_runs}, not as promised: "
          f"{bound(len(tally.found), tally.n_runs)}")
    return 1 if tally.found or not tally.n_runs else 0


if __name__ == "__main__":
    sys.exit(main())
