"""A few scenes with every call of each kind failing in turn, where QHTTP_TORTURE is set: they take a while.

`make torture` plays all scenes, and allocations."""
import os
import pathlib

import pytest
from support.sanitizers import IS_SANITIZED

from torture.campaign import Campaign, certificate_in
from torture.failing import KINDS, build, faults_of
from torture.interpreter import DIES, is_sound

PACKAGE = str(pathlib.Path(__file__).resolve().parents[2])
pytestmark = pytest.mark.skipif("QHTTP_TORTURE" not in os.environ, reason="QHTTP_TORTURE is not set: see make torture")
CALLS = [kind for kind in KINDS if kind != "allocate"]
N_ALLOCATIONS = 40          # of each scene that fail, evenly


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    """The library that makes calls fail, and a certificate."""
    if IS_SANITIZED:
        pytest.skip("the children have preloads of their own: make torture plays them with sanitizers")
    folder = str(tmp_path_factory.mktemp("torture"))
    return build(folder), certificate_in(folder)


@pytest.fixture(scope="module")
def memory_tools(tools):
    """The same, where the interpreter survives allocations that fail."""
    if not is_sound(tools[0]):
        pytest.skip(DIES)
    return tools


@pytest.mark.parametrize("family, name", [("http", "requests"), ("http", "named"), ("http", "tls"), ("bulk", "synced"),
                                          ("bulk", "pieces"), ("bulk", "ahead"), ("http", "pipelined")])
def test_scene_any_call_refused_whole_or_told(family, name, tools):
    library, certificate = tools
    campaign = Campaign(library, family, name, None, certificate, PACKAGE)
    try:
        n_hit = sum(campaign.play(fault) for kind in CALLS for fault in faults_of(kind))
    finally:
        campaign.close()
    assert not campaign.found, "\n".join(f"{fault}, call {n}: {text}" for fault, n, text in campaign.found[:5])
    assert n_hit > 30


@pytest.mark.parametrize("how", [0, 1], ids=["once", "from_there_on"])
@pytest.mark.parametrize("family, name", [("http", "requests"), ("http", "pipelined"), ("bulk", "files"), ("bulk", "ahead"),
                                          ("bulk", "pieces")])
def test_scene_no_memory_whole_or_told(family, name, how, memory_tools):
    library, certificate = memory_tools
    campaign = Campaign(library, family, name, None, certificate, PACKAGE)
    fault = faults_of("allocate")[how]
    try:
        n_hit = campaign.play(fault, max(1, campaign.n_calls(fault) // N_ALLOCATIONS))
    finally:
        campaign.close()
    assert not campaign.found, "\n".join(f"{fault}, call {n}: {text}" for fault, n, text in campaign.found[:5])
    assert n_hit >= N_ALLOCATIONS / 2
