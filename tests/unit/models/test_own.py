"""Models of one's own: read from a file that the user names, and everything wrong with it is one line."""

import shutil
import sys

import pytest

from moa.errors import UserError
from moa.models import registry
from moa.models.own import load_recipes
from moa.models.registry import recipe, recipes
from moa.models.source import changed_code, code_of
from support import TESTS

OWN = TESTS / "support" / "my_small.py"


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """Forget the recipes and modules that a test reads."""
    monkeypatch.setattr(registry, "_own", {})
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if not name.startswith(("moa.", "sklearn.", "torch")):
            sys.modules.pop(name)


@pytest.fixture
def file(tmp_path):
    return shutil.copyfile(OWN, tmp_path / "my_small.py")


def test_a_model_of_ones_own_is_one_of_the_models(file):
    (found,) = load_recipes(file)
    assert found is recipe("my-small") is recipes()["my-small"] and found.published is None
    assert list(recipes())[-1] == "my-small" and "simple-nn-old-cv" in recipes()
    assert list(code_of(found)) == ["my_small.py"] and code_of(recipe("simple-nn-old-cv")) == {}


def test_a_file_that_was_edited_is_read_again(file, tmp_path):
    helper = tmp_path / "my_width.py"
    helper.write_text("WIDTH = 8\n")
    text = file.read_text()
    file.write_text("from my_width import WIDTH\n" + text.replace("hidden=8", "hidden=WIDTH"))
    (first,) = load_recipes(file)
    assert first.config.learner.hidden == 8 and set(code_of(first)) == {"my_small.py", "my_width.py"}
    assert load_recipes(file)[0] is first, "not read again without an edit"
    helper.write_text("WIDTH = 9\n")  # as long as before, in the same second
    (second,) = load_recipes(file)
    assert second.config.learner.hidden == 9 and recipe("my-small") is second
    assert changed_code(code_of(first), code_of(second)) == "my_width.py: `WIDTH = 8` there, `WIDTH = 9` now"


def test_files_of_one_name_in_two_folders_do_not_meet(file, tmp_path):
    other = tmp_path / "other" / "my_small.py"
    other.parent.mkdir()
    other.write_text(file.read_text().replace("my-small", "other-small"))
    assert load_recipes(file)[0].name == "my-small" and load_recipes(other)[0].name == "other-small"
    assert load_recipes(file)[0].name == "my-small"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("gone.py", None, "gone.py: no such file; `moa models new NAME`"),
        ("model.txt", "", "a recipe is a Python file"),
        ("my-model.py", "", "a recipe is a Python file of a name such as my_model.py"),
        ("torch.py", "RECIPES = []", "another module is called torch .*rename"),
        ("math.py", "RECIPES = []", "another module is called math .*rename"),
        ("my_bad.py", "x = (", "my_bad.py line 1: SyntaxError"),
        ("my_bad.py", "import os\nx = 1 / 0\n", "my_bad.py line 2: ZeroDivisionError"),
        ("my_bad.py", "import not_there\n", "my_bad.py line 1: ModuleNotFoundError: No module named 'not_there'"),
        ("my_bad.py", "x = 1\n", "holds no list RECIPES"),
        ("my_bad.py", "RECIPES = ['a']\n", "holds no list RECIPES"),
        ("my_bad.py", "raise ValueError('a\\nb')\n", r"ValueError: a\\nb"),
    ],
)
def test_a_file_that_is_no_recipe(name, text, message, tmp_path):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        load_recipes(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("two-heads", "'two-heads' is a model of the package"),
        ("../x", "'../x' is not a valid"),
        ("", "'' is not a valid"),
    ],
)
def test_a_name_that_cannot_be_used(name, message, file):
    file.write_text(file.read_text().replace("my-small", name))
    with pytest.raises(UserError, match=message):
        load_recipes(file)


def test_source_is_compared_without_comments_docstrings_and_layout():
    text = OWN.read_text()
    same = "# more\n" + text.replace('"""', '"""More. ', 1).replace("    components", "\n    components")
    assert same != text and changed_code({"a.py": text}, {"a.py": same}) is None
    other = text.replace("random_state=0", "random_state=0, whiten=True")
    found = changed_code({"a.py": text}, {"a.py": other})
    assert "whiten=True" in found.split(" there, ")[1] and "whiten" not in found.split(" there, ")[0]
    assert (
        changed_code({}, {"a.py": text}) == "a.py: only now" and changed_code({"a.py": text}, {}) == "a.py: only there"
    )
    assert changed_code({"a.py": text}, {"a.py": text + "x = 1\n"}) == "a.py: nothing there, `x = 1` now"
    assert changed_code({"a.py": "no ("}, {"a.py": "no )"}) == "a.py: `no (` there, `no )` now"
