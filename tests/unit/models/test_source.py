"""The source of a recipe outside of the package: what is collected, and what counts as a change."""

import pytest

from moa.models.source import changed_code, sources

RECIPE = 'from helper import scale\n\n\ndef features(x):\n    """Scaled."""\n    return scale(x, 2)  # twice\n'


def test_a_file_and_what_it_imports_from_its_folder_are_collected(tmp_path):
    (tmp_path / "recipe.py").write_text(RECIPE)
    (tmp_path / "helper.py").write_text("import numpy\nimport deeper\n")
    (tmp_path / "deeper.py").write_text("import recipe\n")
    (tmp_path / "other.py").write_text("")
    assert set(sources(tmp_path / "recipe.py")) == {"recipe.py", "helper.py", "deeper.py"}


@pytest.mark.parametrize(
    "edited",
    [RECIPE.replace("  # twice", ""), RECIPE.replace("Scaled.", "Twice."), RECIPE.replace("x, 2", "x,\n        2")],
)
def test_comments_docstrings_and_layout_do_not_count(edited):
    assert changed_code({"recipe.py": RECIPE}, {"recipe.py": edited}) is None


def test_the_first_changed_line_is_shown_from_shortly_before_the_change():
    found = changed_code({"recipe.py": RECIPE}, {"recipe.py": RECIPE.replace("2)", "3)")})
    assert found == "recipe.py: `return scale(x, 2)` there, `return scale(x, 3)` now"
    long = "x = 'a very long text that is the same in both of them: %d'\n"
    assert changed_code({"r.py": long % 1}, {"r.py": long % 2}).startswith("r.py: `...")


def test_a_file_on_one_side_only_is_named():
    assert changed_code({"a.py": "", "b.py": ""}, {"a.py": ""}) == "b.py: only there"
    assert changed_code({}, {"a.py": ""}) == "a.py: only now"
