"""The dashboard's server: whom it answers, what it tells those who come late, and that nobody is in another's way."""

import contextlib
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest

pytest.importorskip("aiohttp")
pytest.importorskip("rerun")

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from daydreamer.session.dashboard import announce_dashboard, dashboard_url
from daydreamer.viewer import server as server_module
from daydreamer.viewer.access import Access, addresses_of_this_machine, is_loopback
from daydreamer.viewer.certificate import fingerprint, own_certificate, tls_context
from daydreamer.viewer.feeds import MEAN_S, SIGNAL_PERIOD_S, SIGNAL_RATE_HZ
from daydreamer.viewer.rerun_files import PROGRAM, SCRIPT, ViewerFiles
from daydreamer.viewer.server import MOST_VIEWERS, ViewerServer, reachable_names
from daydreamer.viewer.tracks import SKELETON

TIMEOUT_S = 120.0
SECONDS = 120.0  # of the recorded session
FILES = ViewerFiles("0", {SCRIPT: b"script", PROGRAM: b"program"})


def wait_for(condition, what):
    end_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end_s, what
        time.sleep(0.02)


@pytest.fixture
def serve():
    """`serve(address)`: a server without a dashboard; everybody who comes is given what `past` holds."""
    servers = []

    def start(address="127.0.0.1", tls=None):
        servers.append(ViewerServer(address, None, FILES, tls))
        return servers[-1]

    yield start
    for each in servers:
        each.stop()


def ask(url, **headers):
    """Status and text of the answer."""
    request = urllib.request.Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=ssl._create_unverified_context()) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def data(url):
    scheme = "wss" if url.startswith("https") else "ws"
    return url.replace(urlsplit(url).scheme, scheme, 1).replace("/?", "/data?")


def status_of_data(url, host=None, **arguments):
    """Of a WebSocket: 101 if it is opened; `host` is what the request says instead of where it goes."""
    parts = urlsplit(data(url))
    with socket.create_connection((parts.hostname, parts.port), timeout=TIMEOUT_S) as connection:
        try:
            with connect(parts._replace(netloc=host or parts.netloc).geturl(), sock=connection, **arguments):
                return 101
        except InvalidStatus as refused:
            return refused.response.status_code


@pytest.mark.parametrize(
    "host, origin",
    [
        ("rebound.example:{port}", None),
        ("rebound.example:{port}", "http://rebound.example:{port}"),
        ("192.0.2.7:{port}", None),
        ("127.0.0.1.rebound.example:{port}", None),
        ("", None),
        ("127.0.0.1:{port}", "http://rebound.example"),
        ("127.0.0.1:{port}", "http://127.0.0.1:1"),
        ("127.0.0.1:{port}", "http://localhost:{port}"),
        ("127.0.0.1:{port}", "https://127.0.0.1:{port}"),
        ("127.0.0.1:{port}", "null"),
    ],
)
def test_foreign_hosts_and_origins_are_refused_even_with_the_token(serve, host, origin):
    server = serve()
    (url,) = server.urls
    host = host.format(port=server.port)
    headers = {"Host": host} | ({"Origin": origin.format(port=server.port)} if origin else {})
    for path in ("/?", "/data?", f"/rerun-0/{PROGRAM}?"):
        status, text = ask(url.replace("/?", path), **headers)
        assert status == 403 and "dashboard" in text, path
    if host:
        assert status_of_data(url, host=host, origin=headers.get("Origin")) == 403
    assert not server.take_arrivals()


def test_the_page_of_its_own_may_and_through_a_tunnel_too(serve):
    server = serve()
    (url,) = server.urls
    assert ask(url)[0] == 200
    for host in (f"127.0.0.1:{server.port}", f"LOCALHOST:{server.port}", "localhost:8080", "[::1]:9090", "127.0.0.1"):
        assert ask(url, Host=host, Origin=f"http://{host}")[0] == 200, host
    assert status_of_data(url, origin=f"http://127.0.0.1:{server.port}") == 101
    assert ask(url.replace("/?", f"/rerun-0/{PROGRAM}?"))[1] == "program"
    assert ask(url.replace("/?", "/rerun-0/../../etc/passwd?"))[0] == 404


@pytest.mark.parametrize("query", ["", "token=", "token=wrong", "token=%C3%A4", "other={token}"])
def test_who_does_not_have_the_token_is_refused(serve, query):
    (url,) = serve().urls
    address, _, token = url.partition("?token=")
    wrong = f"{address}?{query.format(token=token)}"
    status, text = ask(wrong)
    assert status == 403 and "token" in text and token not in text
    assert status_of_data(wrong) == 403


def test_nothing_of_the_page_reaches_another_server(serve):
    with urllib.request.urlopen(serve().urls[0]) as answer:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "connect-src 'self'" in policy and "http" not in policy
        assert answer.headers["Cache-Control"] == "no-store" and answer.headers["Referrer-Policy"] == "no-referrer"
        text = answer.read().decode()
    assert "://" not in text


def test_other_machines_are_served_by_tls_at_an_address_that_reaches_this_one(serve, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    names = server_module.own_names("0.0.0.0")
    certificate = own_certificate(names, tmp_path)
    assert certificate.stat().st_mode & 0o077 == 0
    before = certificate.read_bytes()
    assert own_certificate(names, tmp_path).read_bytes() == before
    server = serve("0.0.0.0", tls_context(certificate, None))
    assert server.urls
    shown = certificate.read_text()
    context = ssl.create_default_context(cadata=shown[shown.index("-----BEGIN CERTIFICATE") :])
    for url in server.urls:
        host = urlsplit(url).hostname
        assert url.startswith("https://") and not is_loopback(host) and host != "0.0.0.0"
        # Verified, which includes the name.
        with urllib.request.urlopen(url, timeout=TIMEOUT_S, context=context) as answer:
            assert answer.status == 200
        origin = f"https://{host}:{server.port}"
        assert status_of_data(url, ssl=context, origin=origin) == 101
        for wrong in (url[:-1] + ("a" if url[-1] != "a" else "b"), url.partition("?")[0]):
            assert ask(wrong)[0] == 403 and status_of_data(wrong, ssl=context) == 403
        assert ask(url, Host=f"rebound.example:{server.port}")[0] == 403
        assert status_of_data(url, ssl=context, origin="https://rebound.example") == 403
    assert re.fullmatch(r"([0-9A-F]{2}:){31}[0-9A-F]{2}", fingerprint(certificate))
    assert own_certificate([*names, "another.example"], tmp_path).read_bytes() != before


def test_an_address_of_every_interface_is_named():
    assert set(reachable_names("0.0.0.0")) <= set(addresses_of_this_machine())
    assert reachable_names("192.0.2.7") == ["192.0.2.7"]
    assert not any(is_loopback(name) or name == "0.0.0.0" for name in reachable_names("0.0.0.0"))
    access = Access("https", ["robot.example", "192.0.2.7", "2001:db8::7"])
    for host in ("ROBOT.example:9090", "192.0.2.7:9090", "[2001:DB8:0::7]:9090"):
        assert access.refusal([host], [f"https://{host}"]) is None, host
    for hosts in ([], ["robot.example", "robot.example"], ["robot.example.rebound.example"], ["[2001:db8::7"]):
        assert access.refusal(hosts, []) is not None, hosts


def admit(server, count, pieces):
    """Admits the next `count` that come."""
    admitted = []

    def come():
        admitted.extend(server.take_arrivals())
        return len(admitted) == count

    wait_for(come, "nobody has come")
    server.admit(admitted, pieces)
    return admitted


def test_who_never_reads_holds_up_nobody_and_is_let_go(serve):
    server = serve()
    (url,) = server.urls
    with socket.create_connection(("127.0.0.1", server.port)) as deaf, connect(data(url), max_size=None) as viewer:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        path = data(url).partition(str(server.port))[2]
        deaf.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        arrivals = admit(server, 2, [b"past"])
        assert viewer.recv(TIMEOUT_S) == b"past" and viewer.recv(TIMEOUT_S) == "complete"
        for number in range(40):
            piece = bytes([number]) * (1 << 20)
            server.publish(piece)
            assert viewer.recv(TIMEOUT_S) == piece
        wait_for(lambda: sum(each.gone for each in arrivals) == 1, "the deaf one is still there")
        # It took no more memory than it was granted.
        assert sum(each.backlog for each in arrivals) <= server_module.BACKLOG_BYTES + (1 << 20)
        server.publish(b"new")
        assert viewer.recv(TIMEOUT_S) == b"new"


def test_who_says_anything_is_let_go_and_there_are_not_too_many(serve):
    server = serve()
    (url,) = server.urls
    with connect(data(url)) as viewer:
        viewer.send(b"a recording")
        with pytest.raises(ConnectionClosed):
            viewer.recv(TIMEOUT_S)
    with contextlib.ExitStack() as stack:
        viewers = [stack.enter_context(connect(data(url))) for _ in range(MOST_VIEWERS)]
        assert status_of_data(url) == 503
        viewers.pop().close()
        wait_for(lambda: status_of_data(url) == 101, "still too many")


@pytest.mark.timeout(600)
def test_a_late_viewer_gets_the_whole_past_in_one_chunk_of_each_path(
    recorded, watch, url_of, print_recording, tmp_path
):
    url = url_of(watch(recorded, "--no-browser"))
    pieces = []
    with connect(data(url), max_size=None) as viewer:
        while (piece := viewer.recv(TIMEOUT_S)) != "complete":
            pieces.append(piece)
        pieces.append(viewer.recv(TIMEOUT_S))
    assert len(pieces) == 3
    chunks = []
    for index, piece in enumerate(pieces):
        path = tmp_path / f"{index}.rrd"
        path.write_bytes(piece)
        rows = re.findall(r"with (\d+) rows \(.*?\) - (/\S+) ", print_recording(path))
        chunks.append([(path, int(count)) for count, path in rows])
    # The clock and the robot's health are in the first piece.
    assert {"/banner", "/health/card", "/robot/now"} <= {path for path, _ in chunks[0]}
    past = dict(chunks[1] + chunks[2])
    assert len(past) == len(chunks[1] + chunks[2])
    assert past["/learning/reward"] == SECONDS / MEAN_S
    assert past["/dream/signals/joints/1/reality"] >= (SECONDS - SIGNAL_PERIOD_S) * SIGNAL_RATE_HZ
    assert past["/robot/now"] == SECONDS / SKELETON.spacing_s
    assert past["/events"] == 1


@pytest.mark.timeout(600)
def test_a_killed_dashboard_leaves_nothing_behind(recorded, watch, url_of, tmp_path):
    folders = {name: tmp_path / name for name in ("cache", "temporary")}
    for folder in folders.values():
        folder.mkdir()
    # Without a cache Rerun's program has to be asked for the viewer, in a process of its own.
    process = watch(recorded, XDG_CACHE_HOME=str(folders["cache"]), TMPDIR=str(folders["temporary"]))
    children = psutil.Process(process.pid).children
    wait_for(children, "Rerun was not asked")
    (rerun,) = children()
    # It is told to send nothing home. While a program is being replaced, its environment is empty.
    wait_for(lambda: rerun.name() == "rerun" and "XDG_CONFIG_HOME" in rerun.environ(), "its settings are not its own")
    settings = os.path.join(rerun.environ()["XDG_CONFIG_HOME"], "rerun", "analytics.json")
    with open(settings) as file:
        assert json.load(file)["analytics_enabled"] is False
    process.kill()
    assert not psutil.wait_procs([rerun], timeout=TIMEOUT_S)[1]

    process = watch(recorded, "--no-browser", XDG_CACHE_HOME=str(folders["cache"]), TMPDIR=str(folders["temporary"]))
    port = urlsplit(url_of(process)).port
    assert not children() and list(folders["cache"].rglob("*.gz"))
    before = set(folders["temporary"].iterdir())
    process.kill()
    process.wait()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=5.0)
    assert set(folders["temporary"].iterdir()) == before


@pytest.mark.timeout(600)
def test_without_a_place_for_a_cache_there_is_a_dashboard_all_the_same(recorded, watch, url_of):
    process = watch(recorded, "--no-browser", XDG_CACHE_HOME="/proc/nowhere")
    assert ask(url_of(process))[0] == 200


def test_the_address_is_for_the_owner_of_the_session_alone(record_session):
    session = record_session().session
    url = "http://127.0.0.1:9090/?token=abc"
    with announce_dashboard(session, url):
        place = session.status / "dashboard.json"
        assert place.stat().st_mode & 0o777 == 0o600
        assert dashboard_url(session) == url
        written = json.loads(place.read_bytes())
        for wrong in (
            {"process": written["process"] | {"process_start": written["process"]["process_start"] + 1}},
            {"process": written["process"] | {"boot_id": "another"}},
            {"process": written["process"] | {"pid": 1}},
            {"url": "http://rebound.example:9090/?token=abc"},
            {"url": "http://127.0.0.1:9090@rebound.example/?token=abc"},
            {"url": "http://127.0.0.1:9090/?token=\x1b[2J"},
            {"url": "http://127.0.0.1:9090/?token=abc\n"},
            {"url": "file:///etc/passwd"},
            {"url": 1},
        ):
            place.write_text(json.dumps(written | wrong))
            assert dashboard_url(session) is None, wrong
        place.write_text("[]")
        assert dashboard_url(session) is None
    assert dashboard_url(session) is None


def test_the_token_is_not_in_a_log_that_others_can_read(record_session):
    from daydreamer.cli.dashboard import dashboard_alongside

    session = record_session().session
    with dashboard_alongside(session, 1.0):
        wait_for(lambda: dashboard_url(session), "no dashboard")
        token = parse_qs(urlsplit(dashboard_url(session)).query)["token"][0]
    assert dashboard_url(session) is None
    for path in session.path.rglob("*"):
        assert not path.is_file() or token.encode() not in path.read_bytes(), path


def test_a_certificate_that_is_not_one_is_named(recorded, tmp_path):
    (tmp_path / "no.pem").write_text("nothing")
    command = [sys.executable, "-m", "daydreamer.cli.main", "watch", str(recorded.path), "--no-browser"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    for arguments, sentence in (
        (["--certificate", str(tmp_path / "no.pem")], "cannot be used"),
        (["--key", str(tmp_path / "no.pem")], "of no use without"),
    ):
        result = subprocess.run([*command, *arguments], capture_output=True, text=True, env=environment, timeout=120)
        assert result.returncode == 2 and sentence in result.stderr, result
