"""Plays one scenario from begin to end in this process, and tells what was seen."""
import contextlib
import dataclasses
import gc

from support.scripted_server import ClosedPort

from conformance.peers import Exchange, RecordedServer
from conformance.player import Player
from conformance.scenarios import filled


@dataclasses.dataclass
class Run:
    """What was seen of one scenario."""
    trace: list                     # every signal, as [name, argument, ...]
    notes: list                     # signals and calls with what they returned, indented inside handlers; for reading
    problems: list                  # calls that raised, waits that took too long
    final: dict                     # body, error, errorString, devices
    bodies: dict                    # by request id, what was read of its answer or written to its device
    calls: dict                     # by request id, (verb, arguments, keywords)
    deleted: bool                   # the scenario has dropped its object
    ports: dict                     # of the servers, by letter
    requests: dict                  # by letter: for each connection, what its server took
    exchanges: list[Exchange]       # in the order of connections
    n_unscripted: int               # connections that the recorded class did not open
    silent_server: bool             # some server was asked and never meant to answer


def play(case: dict, certificate: str | None = None) -> Run:
    with contextlib.ExitStack() as stack:
        scripts = case.get("server_script", {})
        servers = {letter: stack.enter_context(RecordedServer(s, certificate)) for letter, s in scripts.items()}
        closed = {letter: stack.enter_context(ClosedPort()) for letter in case["scenario"].get("closed_ports", [])}
        ports = {letter: place.port for letter, place in (servers | closed).items()}
        player = Player(filled(case["scenario"], ports), reads_along=case["verdict"] != "copy")
        final = player.play()
        silent = any(server.is_silent() for server in servers.values())
    run = Run(
        trace=player.trace, notes=player.notes, problems=player.problems, final=final, bodies=player.bodies,
        calls=player.calls, deleted=player.objects["http"] is None, ports=ports,
        requests={letter: server.seen() for letter, server in servers.items()},
        exchanges=[exchange for server in servers.values() for exchange in server.exchanges()],
        n_unscripted=sum(server.n_unscripted for server in servers.values()), silent_server=silent)
    del player
    gc.collect()                    # what fails while the objects go belongs to this scenario
    return run
