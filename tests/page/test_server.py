"""The served page: for this machine, for who knows the token, as true as the file."""

import http.client
import json
import os
import threading

import pytest

import cnndsl
from cnndsl.page.server import Live, server

TEXT = "network n {\n    input x [3, 8, 8]\n    conv(4, 3) -> relu\n}\n"


@pytest.fixture
def served(tmp_path):
    path = tmp_path / "n.cnn"
    path.write_text(TEXT)
    live = Live(str(path), lambda: cnndsl.parse(path).graph)
    with server(live) as (found, address):
        thread = threading.Thread(target=found.serve_forever, args=(0.01,))
        thread.start()
        yield path, address
        found.shutdown()
        thread.join()


def ask(address, path="", method="GET", **headers):
    host, _, rest = address.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host)
    connection.request(method, f"/{rest}{path}", headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read(), answer.headers


def rewrite(path, text):
    stamp = path.stat().st_mtime_ns + 1_000_000
    path.write_text(text)
    os.utime(path, ns=(stamp, stamp))


def test_the_page_is_served_at_its_address_alone(served):
    _, address = served
    assert address.startswith("http://127.0.0.1:")
    status, content, headers = ask(address)
    assert (status, b"connect-src 'self'" in content) == (200, True)
    assert "Access-Control-Allow-Origin" not in headers
    assert ask(address[:-2] + "/")[0] == 404
    assert ask(address, "../")[0] == 404
    assert ask("/".join(address.split("/")[:3]) + "/")[0] == 404
    assert ask(address, method="POST")[0] == 501


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}],
)
def test_other_sites_are_refused(served, headers):
    assert ask(served[1], **headers)[0] == 403
    assert ask(served[1], "version", **headers)[0] == 403


def test_the_page_follows_the_file(served):
    path, address = served
    first = json.loads(ask(address, "version")[1])
    assert first == {"version": 1, "problem": ""}
    rewrite(path, TEXT.replace("relu", "sigmoid -> tanh"))
    assert json.loads(ask(address, "version")[1]) == {"version": 2, "problem": ""}


def test_the_page_follows_what_the_file_imports(served):
    """Also files that are not there yet, are wrong at first, or have no operator of the graph."""
    path, address = served
    other, idle = path.with_name("other.cnn"), path.with_name("idle.cnn")
    head = 'import act from "other.cnn"\nimport nothing from "idle.cnn"\n'
    rewrite(path, head + TEXT.replace("relu", "act"))
    assert "other.cnn" in json.loads(ask(address, "version")[1])["problem"]
    idle.write_text("block nothing { relu }\n")
    other.write_text("block act { rolu }\n")
    assert "rolu" in json.loads(ask(address, "version")[1])["problem"]
    rewrite(other, "block act { relu }\n")
    assert json.loads(ask(address, "version")[1]) == {"version": 2, "problem": ""}
    other.rename(path.with_name("moved.cnn"))
    assert "other.cnn" in json.loads(ask(address, "version")[1])["problem"]
    path.with_name("moved.cnn").rename(other)
    assert json.loads(ask(address, "version")[1]) == {"version": 3, "problem": ""}
    rewrite(idle, "block nothing {\n")
    assert "idle.cnn" in json.loads(ask(address, "version")[1])["problem"]


def test_while_the_file_is_wrong_the_page_says_so(served):
    path, address = served
    before = ask(address)[1]
    rewrite(path, TEXT.replace("relu", "rolu"))
    state = json.loads(ask(address, "version")[1])
    assert state["version"] == 1
    assert "rolu" in state["problem"]
    assert ask(address)[1] == before
    rewrite(path, TEXT)
    assert json.loads(ask(address, "version")[1]) == {"version": 2, "problem": ""}
