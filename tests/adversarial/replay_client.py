"""qhttp for a judge from elsewhere that plays adversarial replies and has the contract of `adversarial.contract`.

Name it as `replay_client:factory`, with this folder in the module path and qhttp importable.
"""
import pathlib
import sys

TESTS = str(pathlib.Path(__file__).resolve().parent.parent)
if TESTS not in sys.path:
    sys.path.insert(0, TESTS)

from adversarial.client import QHttpSession  # noqa: E402  (found through the line above)


def factory(call):
    return QHttpSession(call)


factory.features = {"inject", "expect100"}       # refuses, or makes harmless, what must not go on the wire
factory.classes = True              # its errors have the names of QHttp.Error
