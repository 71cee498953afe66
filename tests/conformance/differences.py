"""Where qhttp differs from the recorded class on purpose: what changes in the expectation, and why.

A change is function(want, case, run); it rewrites want.trace, want.requests or want.final in place.
"""
import fnmatch
import ipaddress


def state(name: str) -> list:
    return ["stateChanged", name]


def is_name(host: str) -> bool:
    """True for a host that has to be looked up."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return bool(host)
    return False


class Peer:
    """The host that a QHttp connects to, followed through its queue."""

    def __init__(self, case: dict):
        _, *arguments = case["scenario"]["objects"]["http"]
        self.host = arguments[0] if arguments else ""
        self.proxy = self.next_proxy = ""
        self.host_was_set = False

    def follow(self, verb: str, arguments: list, keywords: dict) -> None:
        if verb == "setHost":
            self.host, self.proxy, self.host_was_set = arguments[0], self.next_proxy, True
        elif verb == "setProxy":
            self.next_proxy = arguments[0] if arguments else keywords.get("host", "")
            if not self.host_was_set:           # else it applies after the next setHost
                self.proxy = self.next_proxy

    def needs_lookup(self) -> bool:
        return is_name(self.proxy or self.host)


def announce_lookup(want, case, run):
    if "application_proxy" in case["scenario"]:
        return
    peer, trace = Peer(case), []
    for event in want.trace:
        if event[0] == "requestStarted" and event[1] in run.calls:
            peer.follow(*run.calls[event[1]])
        if event == state("Connecting") and peer.needs_lookup():
            trace.append(state("HostLookup"))
            if want.final.get("error") == "HostNotFound":
                continue                        # there is no address to connect to
        trace.append(event)
    want.trace = trace


def end_unconnected(want, case, run):
    for n in range(3, len(want.trace)):
        before, finished, done, last = want.trace[n - 3:n + 1]
        if (before in (state("Connecting"), state("HostLookup")) and finished[0] == "requestFinished"
                and done == ["done", True] and last == state("Closing")):
            want.trace[n] = state("Unconnected")


def look_up_the_host_itself(want, case, run):
    want.trace[5:] = [state("Connecting"), ["requestFinished", 3, True], ["done", True], state("Closing")]
    want.requests, want.final = {"A": []}, {"body": "", "error": "HostNotFound"}


def fill_realm(want, case, run):
    for event in want.trace:
        if event[0] in ("authenticationRequired", "proxyAuthenticationRequired"):
            del event[3]                        # realm() was empty, option("realm") follows it


def count_no_tls_errors(want, case, run):
    for event in want.trace:
        if event[0] == "sslErrors":
            event[1:] = [len(event[1]) > 0]


# (names of cases, why, change), applied in this order
DIFFERENCES = [
    ("proxy_set_after_set_host*", "setProxy applies after the next setHost, as Qt's document says: the request goes to the "
     "host itself, and that has no address", look_up_the_host_itself),
    ("*", "HostLookup is announced before Connecting when a name is looked up, as Qt's document says, and Connecting only "
     "when an address was found", announce_lookup),
    ("*", "after a failed connect the state is Unconnected, after done(True), and never Closing", end_unconnected),
    ("*", "authenticator.realm() is filled; the recorded class had the realm as an option only", fill_realm),
    ("*", "number and texts of TLS errors belong to the TLS library: one or more", count_no_tls_errors),
]


def apply(want, case: dict, run) -> None:
    for names, _, change in DIFFERENCES:
        if fnmatch.fnmatch(case["name"], names):
            change(want, case, run)
