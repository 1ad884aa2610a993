"""Weights for processes on other machines: opened where the same lie at the same path, else sent along."""

import pytest

from moa.errors import UserError
from moa.files import read_json, write_json
from moa.parallel import Here
from moa.weights.for_workers import fingerprint, weights_for
from moa.weights.layout import UnitKey, WeightsFolder


@pytest.fixture
def folder(tmp_path):
    folder = WeightsFolder(tmp_path / "weights")
    for name in ("a", "b"):
        model = folder.model(name)
        for path in (model.manifest, model.stage("nn"), model.facts(UnitKey("nn", 1, 0))):
            write_json(path, {"of": name})
        (model.unit(UnitKey("nn", 1, 0)) / "weights.safetensors").write_bytes(name.encode())
    folder.shared.mkdir()
    folder.fit("0" * 20).write_bytes(b"a fit")
    return folder


class Elsewhere(Here):
    """Processes that do not find the weights."""

    def everywhere(self, function, *arguments):
        return [function(*arguments), None]


def test_the_fingerprint_is_of_the_named_models_and_changes_with_their_facts(folder):
    first = fingerprint(folder.path, ["a"])
    assert first and fingerprint(folder.path, ["a", "b"]) != first and fingerprint(folder.path, ["a", "c"]) is None
    folder.model("b").stage("nn").write_text("{}")
    assert fingerprint(folder.path, ["a"]) == first
    folder.model("a").facts(UnitKey("nn", 1, 0)).write_text("{}")
    assert fingerprint(folder.path, ["a"]) != first


def test_weights_that_every_process_finds_are_opened_where_they_lie_unless_they_change(folder):
    found = weights_for(Here(), folder.path, ["a"])
    assert found.files is None and found.open() == folder.path.resolve()
    folder.model("a").stage("nn").write_text("{}")
    with pytest.raises(UserError, match="missing on a worker, or changed meanwhile"):
        found.open()
    with pytest.raises(UserError, match="holds no weights of a and c"):
        weights_for(Here(), folder.path, ["a", "c"])


def test_weights_that_a_process_does_not_find_are_sent_along_and_unpacked_once(folder):
    sent = weights_for(Elsewhere(), folder.path, ["a"])
    there = WeightsFolder(sent.open())
    assert sent.open() == there.path != folder.path and there.models() == ["a"]
    assert fingerprint(there.path, ["a"]) == fingerprint(folder.path, ["a"])
    assert read_json(there.model("a").manifest) == {"of": "a"}
    assert there.fit("0" * 20).read_bytes() == b"a fit"
    assert (there.model("a").unit(UnitKey("nn", 1, 0)) / "weights.safetensors").read_bytes() == b"a"
