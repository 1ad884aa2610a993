"""The download, against a stand-in for the kaggle client."""

import os
import stat
import sys
import zipfile

import pytest

from moa.data.download import FILES, download
from moa.data.schema import TEST_FEATURES
from moa.errors import UserError


@pytest.fixture
def client(tmp_path, monkeypatch):
    """Put a ``kaggle`` on the path that does what the test says; returns a function that sets its body."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(sys, "executable", str(folder / "python"))

    def set_body(body):
        script = folder / "kaggle"
        script.write_text(f"#!/bin/sh\n{body}\n")
        script.chmod(script.stat().st_mode | stat.S_IXUSR)

    return set_body


def archive(path, names=FILES, extra=()):
    with zipfile.ZipFile(path, "w") as packed:
        for name in (*names, *extra):
            packed.writestr(name, f"content of {name}")
    return path


def test_files_are_fetched_unpacked_and_not_fetched_again(client, tmp_path):
    packed = archive(tmp_path / "packed.zip", extra=["../evil.txt", "more.csv"])
    client(f'[ "$3" = lish-moa ] && /bin/cp {packed} "$5/lish-moa.zip"')
    download(tmp_path / "data")
    assert sorted(os.listdir(tmp_path / "data")) == sorted(FILES)
    assert (tmp_path / "data" / FILES[0]).read_text() == f"content of {FILES[0]}"
    assert not (tmp_path / "evil.txt").exists()
    client("exit 1")
    download(tmp_path / "data")


def test_what_is_lacking_is_fetched_and_what_is_there_is_kept(client, tmp_path):
    packed = archive(tmp_path / "packed.zip")
    client(f'/bin/cp {packed} "$5/lish-moa.zip"')
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / TEST_FEATURES).write_text("my own plates")
    download(tmp_path / "data")
    assert sorted(os.listdir(tmp_path / "data")) == sorted(FILES)
    assert (tmp_path / "data" / TEST_FEATURES).read_text() == "my own plates"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # Client 1.7 reports a refusal on stdout and writes nothing to stderr; client 2 writes to stderr.
        ('echo "403 Client Error: Forbidden for url: https://..."; exit 1', "accept the competition's rules"),
        ('echo "401 Client Error: Unauthorized for url: https://..."; exit 1', "make a token"),
        ('echo "Authentication required to call the Kaggle API."; exit 1', "make a token"),
        ('echo "403 Client Error: Forbidden for url: https://...\n\nYou lack access" >&2; exit 1', "accept the compet"),
        ("echo \"ConnectionError: (Failed to resolve 'api.kaggle.com')\" >&2; exit 1", "Kaggle cannot be reached"),
        ('echo "403 - Forbidden" >&2; exit 1', "accept the competition's rules"),
        ('echo "Error: Missing key in configuration."; exit 1', "make a token"),
        (  # line numbers of a traceback are no status
            r"""printf '  File "a.py", line 403, in get\n  File "b.py", line 401, in f\nTimeout: slow\n' >&2; exit 1""",
            r"client failed \(Timeout: slow\)",
        ),
        ("exit 1", "no message"),
        ('echo "OSError: Could not find kaggle.json" >&2; exit 1', "KAGGLE_API_TOKEN"),
        ('echo "401 - Unauthorized" >&2; exit 1', "make a token"),
        ('echo "no route to host" >&2; exit 1', "no route to host"),
        ("exit 0", "brought no archive"),
        ('echo torn > "$5/a.zip"', "archive is damaged"),
    ],
)
def test_what_went_wrong_is_explained_and_nothing_is_left(client, tmp_path, body, expected):
    client(body)
    with pytest.raises(UserError, match=expected):
        download(tmp_path / "data")
    assert os.listdir(tmp_path / "data") == []


def test_an_archive_without_a_file_is_refused(client, tmp_path):
    packed = archive(tmp_path / "packed.zip", names=FILES[:-1])
    client(f'/bin/cp {packed} "$5/lish-moa.zip"')
    with pytest.raises(UserError, match=FILES[-1]):
        download(tmp_path / "data")
    assert os.listdir(tmp_path / "data") == []


def test_a_flipped_bit_in_the_archive_is_noticed(client, tmp_path):
    packed = archive(tmp_path / "packed.zip")
    raw = bytearray(packed.read_bytes())
    raw[raw.index(b"content of")] ^= 1
    packed.write_bytes(raw)
    client(f'/bin/cp {packed} "$5/lish-moa.zip"')
    with pytest.raises(UserError, match="archive is damaged"):
        download(tmp_path / "data")
    assert os.listdir(tmp_path / "data") == []


def test_a_folder_that_is_a_file_and_a_client_that_cannot_run_are_explained(client, tmp_path):
    client("exit 0")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file: the download cannot be written"):
        download(tmp_path / "file")
    (tmp_path / "bin" / "kaggle").write_text("#!/no/such/interpreter\n")
    with pytest.raises(UserError, match="kaggle: cannot be run"):
        download(tmp_path / "data")


def test_without_a_client_it_says_what_to_do(client, tmp_path):
    with pytest.raises(UserError, match="pip install kaggle"):
        download(tmp_path / "data")


REFUSED = 'echo "401 - Unauthorized"; exit 1'


@pytest.mark.parametrize(
    ("version", "token", "expected"),
    [
        (
            "Kaggle CLI 2.2.5",
            None,
            r"your credentials: make a token at .*set KAGGLE_API_TOKEN .*~/.kaggle/access_token",
        ),
        ("Kaggle CLI 2.2.5", "KGAT_x", r"the token in KAGGLE_API_TOKEN, which is wrong or has expired: make a token"),
        (
            "Kaggle API 1.7.4.5",
            None,
            r"\(1.7.4.5\) knows legacy keys alone.*Legacy API Key.*kaggle.json.*KAGGLE_USERNAME",
        ),
        ("Kaggle API 1.7.4.5", "KGAT_x", r"KAGGLE_API_TOKEN is set, but this kaggle client .*tokens need the client 2"),
    ],
)
def test_the_credentials_that_the_client_understands_are_named(client, tmp_path, monkeypatch, version, token, expected):
    monkeypatch.delenv("KAGGLE_API_TOKEN", raising=False)
    if token:
        monkeypatch.setenv("KAGGLE_API_TOKEN", token)
    client(f'[ "$1" = --version ] && echo "{version}" && exit 0\n{REFUSED}')
    with pytest.raises(UserError, match=expected) as raised:
        download(tmp_path / "data")
    assert "KGAT_x" not in str(raised.value), "a token is never printed"


def test_the_token_reaches_the_client(client, tmp_path, monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", "KGAT_x")
    packed = archive(tmp_path / "packed.zip")
    client(f'[ "$KAGGLE_API_TOKEN" = KGAT_x ] && /bin/cp {packed} "$5/lish-moa.zip"')
    download(tmp_path / "data")
    assert sorted(os.listdir(tmp_path / "data")) == sorted(FILES)


def test_the_installed_client_is_called_as_it_wants(tmp_path, monkeypatch):
    """The real client, without credentials or a home: it must get as far as to ask for them."""
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UserError, match="Kaggle did not accept your credentials: (make a token|this kaggle client)"):
        download(tmp_path / "data")
