"""Where requests may go that a user of a server asks for, and that they go nowhere else."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pytest_kaizen.errors import PlatformError
from pytest_kaizen.platforms import connections
from pytest_kaizen.platforms.connections import PinnedTransport, pinned_client, safe_addresses, why_refused

from .conftest import Loopback


@pytest.mark.parametrize(
    ("address", "private", "open_to_all"),
    [
        # Where nothing may go, whatever the operator says.
        ("169.254.169.254", "credentials", "credentials"),
        ("169.254.0.1", "credentials", "credentials"),
        ("fe80::1", "credentials", "credentials"),
        ("fd00:ec2::254", "credentials", "credentials"),
        ("100.100.100.200", "credentials", "credentials"),
        ("168.63.129.16", "credentials", "credentials"),
        ("::ffff:169.254.169.254", "credentials", "credentials"),
        ("64:ff9b::a9fe:a9fe", "credentials", "credentials"),
        ("2002:a9fe:a9fe::1", "credentials", "credentials"),
        ("::169.254.169.254", "credentials", "credentials"),
        ("224.0.0.1", "multicast", "multicast"),
        ("ff02::1", "multicast", "multicast"),
        ("0.0.0.0", "no machine's", "no machine's"),
        ("0.1.2.3", "no machine's", "no machine's"),
        ("::", "no machine's", "no machine's"),
        ("255.255.255.255", "no machine's", "no machine's"),
        # Where only the operator lets it go.
        ("127.0.0.1", None, "private network"),
        ("127.8.8.8", None, "private network"),
        ("::1", None, "private network"),
        ("::ffff:127.0.0.1", None, "private network"),
        ("10.1.2.3", None, "private network"),
        ("172.16.0.1", None, "private network"),
        ("192.168.1.1", None, "private network"),
        ("100.64.0.1", None, "private network"),
        ("fd12::1", None, "private network"),
        ("fec0::1", None, "private network"),
        ("2002:0a00:0001::1", None, "private network"),
        ("64:ff9b::7f00:1", None, "private network"),
        ("240.0.0.1", None, "private network"),
        ("64:ff9b:1::7f00:1", None, "private network"),
        ("::ffff:0:7f00:1", None, "private network"),
        ("4000::1", None, "private network"),
        # Anywhere else.
        ("8.8.8.8", None, None),
        ("172.32.0.1", None, None),
        ("2606:4700::1111", None, None),
        ("64:ff9b::808:808", None, None),
    ],
)
def test_which_addresses_are_safe(address: str, private: str | None, open_to_all: str | None) -> None:
    for allow_private, expected in ((True, private), (False, open_to_all)):
        said = why_refused(ipaddress.ip_address(address), allow_private=allow_private)
        assert (said is None) == (expected is None)
        assert (expected or "") in (said or "")


def test_one_address_that_is_not_safe_is_enough() -> None:
    with pytest.raises(
        PlatformError, match=r"^not sent: 'two\.test' is at 10\.0\.0\.1, in a private network"
    ):
        safe_addresses("two.test", ["8.8.8.8", "10.0.0.1"], allow_private=False)
    assert [str(found) for found in safe_addresses("x", ["8.8.8.8", "10.0.0.1"], allow_private=True)] == [
        "8.8.8.8",
        "10.0.0.1",
    ]
    with pytest.raises(PlatformError, match="'x' is not the name of any machine"):
        safe_addresses("x", [], allow_private=True)
    with pytest.raises(PlatformError, match="credentials"):
        safe_addresses("x", ["fe80::1%eth0"], allow_private=True)


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_this_machine_by_any_name_is_refused(host: str) -> None:
    with pinned_client(allow_private=False, timeout_s=5) as http, pytest.raises(PlatformError) as caught:
        http.get(f"http://{host}:9/")
    assert "in a private network" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://nobody.invalid/", "'nobody.invalid' is not the name of any machine"),
        ("ftp://127.0.0.1/", "not sent: 'ftp' is neither http nor https"),
    ],
)
def test_what_is_no_address(url: str, said: str) -> None:
    with pinned_client(allow_private=True, timeout_s=5) as http, pytest.raises(PlatformError, match=said):
        http.get(url)


class Names:
    """Resolves every name to the next address, and counts."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        return self.answers[min(len(self.asked), len(self.answers)) - 1]


def test_a_name_is_resolved_once_and_that_address_is_asked(loopback: Loopback) -> None:
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    port = httpx.URL(loopback.url).port
    for _ in range(2):
        loopback.answer(200, '"here"')
    with httpx.Client(transport=PinnedTransport(allow_private=True, resolve=names)) as http:
        for path in ("a", "b"):
            assert http.post(f"http://service.test:{port}/{path}", content=b"x").json() == "here"
    assert names.asked == [("service.test", port)]
    assert [got.line for got in loopback.received] == ["POST /a HTTP/1.1", "POST /b HTTP/1.1"]
    assert {got.headers["host"] for got in loopback.received} == {f"service.test:{port}"}
    assert [got.body for got in loopback.received] == [b"x", b"x"]


def test_the_next_address_is_tried_where_one_does_not_answer(loopback: Loopback) -> None:
    # Nobody listens there on this port.
    names = Names(["127.0.0.2", "127.0.0.1"])
    loopback.answer(200, '"here"')
    with httpx.Client(transport=PinnedTransport(allow_private=True, resolve=names)) as http:
        assert http.get(f"http://service.test:{httpx.URL(loopback.url).port}/").json() == "here"


def test_where_nobody_listens() -> None:
    with (
        httpx.Client(transport=PinnedTransport(allow_private=True)) as http,
        pytest.raises(httpx.ConnectError),
    ):
        http.get("http://127.0.0.1:9/")


def test_no_redirect_is_followed_and_no_proxy_asked(
    loopback: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    loopback.answer(302, "{}", Location="http://169.254.169.254/")
    with pinned_client(allow_private=True, timeout_s=5) as http:
        assert http.get(loopback.url).status_code == 302
    assert len(loopback.received) == 1


class _Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        pass


def test_the_certificate_is_to_be_the_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = _certificate(tmp_path, "service.test")
    server = HTTPServer(("127.0.0.1", 0), _Hello)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(connections, "certificates", lambda: ssl.create_default_context(cafile=certificate))
    names = Names(["127.0.0.1"])
    try:
        with httpx.Client(transport=PinnedTransport(allow_private=True, resolve=names)) as http:
            assert http.get(f"https://service.test:{server.server_port}/").text == "hello"
            # At the same address, with a connection open that was checked for the other name.
            with pytest.raises(httpx.ConnectError, match="Hostname mismatch"):
                http.get(f"https://other.test:{server.server_port}/")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _certificate(folder: Path, name: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(text + made.public_bytes(serialization.Encoding.PEM))
    return path
