"""ImageNet weights are fetched from a server of the test's own, which can lose connections and know no ranges."""

import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from moa.cli import app
from moa.errors import UserError
from moa.files import sha256
from moa.jobs.pretrained import pretrained_backbones
from moa.learners.deepinsight.backbones import EfficientNet, pinned_sha256
from moa.learners.deepinsight.downloads import fetch_pretrained
from support.tiny_cnn import TINY_EFFICIENTNET, TINY_RESNEST


class Server(ThreadingHTTPServer):
    """Serves ``content`` at every path.

    Attributes:
        most: bytes that an answer sends before the connection is lost; None: all.
        ranges: whether a part can be asked for.
        tag: of the content, by which clients ask whether it is still the same.
        sent: bytes sent in each answer.
    """

    daemon_threads = True
    content, most, ranges, tag = b"", None, True, '"1"'

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.sent = []

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}/weights"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, first = self.server, 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and server.ranges and self.headers.get("If-Range") == server.tag:
            first = int(asked[1])
        size = len(server.content)
        if first >= size:
            self.send_error(416)
            return
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{size - 1}/{size}")
        self.send_header("Content-Length", str(size - first))
        self.send_header("ETag", server.tag)
        self.end_headers()
        part = server.content[first:][: server.most]
        server.sent.append(len(part))
        self.wfile.write(part)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server of the small network's weights, whose file names the network knows."""
    torch.manual_seed(5)
    save_file(TINY_EFFICIENTNET.build().state_dict(), tmp_path / "published.safetensors")
    with Server() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        server.content = (tmp_path / "published.safetensors").read_bytes()
        server.file = f"test_efficientnet-{sha256(tmp_path / 'published.safetensors')[:8]}.safetensors"
        files = {server.file: server.address}
        monkeypatch.setattr(EfficientNet, "files", lambda self: files)
        yield server
        server.shutdown()


def test_the_file_arrives_whole_and_is_not_fetched_again(tmp_path, server):
    seen = []
    fetched = fetch_pretrained(TINY_EFFICIENTNET, tmp_path / "new" / "folder", lambda *facts: seen.append(facts))
    assert fetched.path.read_bytes() == server.content and fetched.sha256 == sha256(tmp_path / "published.safetensors")
    assert seen[-1] == (server.file, len(server.content), len(server.content))
    assert fetched.address == server.address and [path.name for path in fetched.path.parent.iterdir()] == [server.file]
    assert fetch_pretrained(TINY_EFFICIENTNET, fetched.path.parent).address == "" and len(server.sent) == 1


@pytest.mark.parametrize("ranges", [True, False])
def test_a_lost_connection_is_reported_and_the_next_call_goes_on(tmp_path, server, ranges):
    server.most, server.ranges = len(server.content) // 2, ranges
    with pytest.raises(UserError, match=r"cannot be downloaded .*run this again"):
        fetch_pretrained(TINY_EFFICIENTNET, tmp_path / "w")
    assert not (tmp_path / "w" / server.file).exists()
    server.most = None
    assert fetch_pretrained(TINY_EFFICIENTNET, tmp_path / "w").path.read_bytes() == server.content
    rest = len(server.content) - len(server.content) // 2
    assert server.sent[-1] == (rest if ranges else len(server.content))


def test_a_part_longer_than_the_file_is_fetched_anew(tmp_path, server):
    (tmp_path / f".{server.file}.part").write_bytes(server.content + b"more")
    assert fetch_pretrained(TINY_EFFICIENTNET, tmp_path).path.read_bytes() == server.content


def test_what_is_no_weights_is_refused_and_removed(tmp_path, server, monkeypatch):
    server.content = b"<html>sign in</html>"
    with pytest.raises(UserError, match="what came is not test_efficientnet-.*its sha256 begins"):
        fetch_pretrained(TINY_EFFICIENTNET, tmp_path / "w")
    assert not list((tmp_path / "w").iterdir())
    state = load_file(tmp_path / "published.safetensors") | {"conv_stem.weight": torch.zeros(1)}
    save_file(state, tmp_path / "other")
    server.content = (tmp_path / "other").read_bytes()
    files = {f"other-{sha256(tmp_path / 'other')[:8]}.safetensors": server.address}
    monkeypatch.setattr(EfficientNet, "files", lambda self: files)
    with pytest.raises(UserError, match="does not hold the weights of test_efficientnet"):
        fetch_pretrained(TINY_EFFICIENTNET, tmp_path / "w")
    assert not list((tmp_path / "w").iterdir())


def test_a_file_that_has_changed_on_the_server_is_not_patched_together(tmp_path, server):
    published, half = server.content, len(server.content) // 2
    server.content, server.most, server.tag = b"\0" * len(published), half, '"0"'
    with pytest.raises(UserError, match="cannot be downloaded"):
        fetch_pretrained(TINY_EFFICIENTNET, tmp_path)
    server.content, server.most, server.tag = published, None, '"1"'
    assert fetch_pretrained(TINY_EFFICIENTNET, tmp_path).path.read_bytes() == published
    assert server.sent == [half, len(published)]
    assert not list(tmp_path.glob(f".{server.file}*"))


def test_a_network_without_published_weights_is_reported(tmp_path):
    with pytest.raises(UserError, match="there are no ImageNet weights for this resnest"):
        fetch_pretrained(TINY_RESNEST, tmp_path)


def test_published_models_need_two_files():
    assert [backbone.kind for backbone in pretrained_backbones()] == ["efficientnet", "resnest"]
    for backbone in pretrained_backbones():
        files = backbone.files()
        assert files and all(address.startswith("https://") for address in files.values())
        assert all(map(pinned_sha256, files)), "each has a checksum that is known beforehand"


def test_command_lists_the_files(tmp_path, server, monkeypatch):
    monkeypatch.setattr("moa.jobs.pretrained.pretrained_backbones", lambda: [TINY_EFFICIENTNET])
    result = CliRunner().invoke(app, ["weights", "pretrained", str(tmp_path / "w")])
    assert result.exit_code == 0, result.output
    assert server.file in "".join(result.output.split()) and "fetched" in result.output
    assert sha256(tmp_path / "published.safetensors")[:16] in result.output
    assert f"MOA_PRETRAINED={tmp_path / 'w'}" in "".join(result.output.split())
