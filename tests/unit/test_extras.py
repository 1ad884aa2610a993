"""What is not installed: the package that is missing and the extra that brings it, in one line."""

import sys

import pytest

from moa.environment import needs
from moa.errors import UserError
from moa.learners.deepinsight.backbones import EfficientNet, ResNeSt


def test_a_missing_package_is_named_with_its_extra():
    with pytest.raises(UserError, match="the package not_there is missing; .*pip install 'moa.cnn.'"), needs("cnn"):
        import not_there.below  # noqa: F401
    with pytest.raises(ImportError, match="cannot import name"), needs("cnn"):
        from json import nothing  # noqa: F401


@pytest.mark.parametrize(("backbone", "package"), [(EfficientNet(), "timm"), (ResNeSt(), "resnest")])
def test_networks_say_what_they_need(backbone, package, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    for use in (backbone.build, backbone.files, backbone.downloads):
        with pytest.raises(UserError, match=f"the package {package} is missing"):
            use()


def test_commands_say_what_they_need(monkeypatch, moa_here):
    monkeypatch.setitem(sys.modules, "papermill", None)
    monkeypatch.delitem(sys.modules, "moa.kaggle.package", raising=False)
    for name in [name for name in sys.modules if name.startswith("papermill.")]:
        monkeypatch.delitem(sys.modules, name)
    done = moa_here("kaggle", "package", "k", "--user", "me", check=False)
    assert done.returncode == 2 and "the package papermill is missing" in done.stderr and done.stderr.count("\n") == 1
