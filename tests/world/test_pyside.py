"""With PySide6's QtCore: its devices as destinations and sources, its byte arrays as data, its URLs as paths."""
import pytest
from support.faults import BODY

from world.programs import module


@pytest.fixture(scope="session")
def core():
    """PySide6.QtCore: no display, no application."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QT_QPA_PLATFORM", "offscreen")
        yield module("PySide6.QtCore")


@pytest.fixture
def buffer(core):
    """An open QBuffer."""
    buffer = core.QBuffer()
    assert buffer.open(core.QIODevice.OpenModeFlag.ReadWrite)
    return buffer


# -- destinations
@pytest.mark.parametrize("location", ["plain", "chunked", "until-close"])
def test_pyside_buffer_holds_the_file(nginx, client, buffer, location):
    client.to("localhost", nginx.port["http"]).http.get(f"/{location}/4mib", buffer)
    client.finish()
    assert client.error == "NoError" and buffer.data().data() == nginx.file("4mib").read_bytes()


def test_pyside_buffer_by_https_holds_the_file(nginx, tls_client, buffer):
    client = tls_client().to_tls("localhost", nginx.port["https"])
    client.http.get("/plain/4mib", buffer)
    client.finish()
    assert client.error == "NoError" and buffer.data().data() == nginx.file("4mib").read_bytes()


@pytest.mark.parametrize("is_open", [True, False])
def test_pyside_file_holds_the_file(nginx, client, core, tmp_path, is_open):
    file = core.QFile(str(tmp_path / "got"))
    assert not is_open or file.open(core.QIODevice.OpenModeFlag.WriteOnly)
    client.to("localhost", nginx.port["http"]).http.get("/plain/16mib", file)
    client.finish()
    file.close()
    assert client.error == "NoError" and (tmp_path / "got").read_bytes() == nginx.file("16mib").read_bytes()


def test_pyside_file_open_for_reading_only_is_an_error(nginx, client, core, tmp_path):
    (tmp_path / "got").touch()
    file = core.QFile(str(tmp_path / "got"))
    assert file.open(core.QIODevice.OpenModeFlag.ReadOnly)
    client.to("localhost", nginx.port["http"]).http.get("/plain/small", file)
    client.finish()
    assert client.error == "UnknownError"


# -- sources
def test_pyside_byte_array_posted_as_data(apache, client, core):
    client.to("localhost", apache.port)
    assert client.post("/echo", core.QByteArray(BODY)) == BODY


@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_pyside_buffer_posted_from_its_start(apache, client, core, size):
    data = (BODY * 3000)[:size]
    source = core.QBuffer()
    source.setData(core.QByteArray(data))
    assert source.open(core.QIODevice.OpenModeFlag.ReadOnly)
    assert client.to("localhost", apache.port).post("/echo", source) == data


def test_pyside_file_posted(apache, client, core, tmp_path):
    (tmp_path / "source").write_bytes(BODY * 20_000)
    source = core.QFile(str(tmp_path / "source"))
    assert source.open(core.QIODevice.OpenModeFlag.ReadOnly)
    assert client.to("localhost", apache.port).post("/echo", source) == BODY * 20_000


def test_pyside_buffer_to_buffer(apache, client, core, buffer):
    source = core.QBuffer()
    source.setData(core.QByteArray(BODY))
    source.open(core.QIODevice.OpenModeFlag.ReadOnly)
    client.to("localhost", apache.port).http.post("/echo", source, buffer)
    client.finish()
    assert buffer.data().data() == BODY


# -- paths
def test_pyside_url_gives_host_port_and_path(nginx, client, core, mark):
    url = core.QUrl(f"http://localhost:{nginx.port['http']}/plain/small?{mark}=a b")
    encoded = core.QUrl.ComponentFormattingOption.FullyEncoded
    client.to(url.host(), url.port())
    assert client.get(f"{url.path(encoded)}?{url.query(encoded)}") == BODY
    assert nginx.log.wait_about(mark)[0]["uri"] == f"/plain/small?{mark}=a%20b"


def test_pyside_percent_encoded_byte_array_is_a_path(nginx, client, core, mark):
    path = core.QUrl.toPercentEncoding(f"/plain/a file {mark}", b"/")
    client.to("localhost", nginx.port["http"]).get(path)
    assert (client.error, client.status) == ("NoError", 404)
    assert nginx.log.wait_about(mark)[0]["uri"] == f"/plain/a%20file%20{mark}"
