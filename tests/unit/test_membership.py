"""No loop over many columns makes the set anew that it looks each of them up in: the square of their number."""

import ast

import pytest

from moa.environment import FINAL

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)


def made_anew(source):
    """Lines of comprehensions that ask ``in set(...)`` or ``in {*names}`` of each of their members."""
    for loop in ast.walk(ast.parse(source)):
        if isinstance(loop, COMPREHENSIONS):
            conditions = [condition for each in loop.generators for condition in each.ifs]
            for asked in (node for each in conditions for node in ast.walk(each) if isinstance(node, ast.Compare)):
                for container in asked.comparators:
                    called = isinstance(container, ast.Call) and getattr(container.func, "id", "") in ("set", "list")
                    starred = isinstance(container, ast.Set) and any(isinstance(e, ast.Starred) for e in container.elts)
                    if called or starred:
                        yield asked.lineno


@pytest.mark.parametrize(
    "source",
    ["[a for a in b if a not in set(c)]", "{a for a in b if a in {d, *c}}", "sum(1 for a in b if a and a in list(c))"],
)
def test_such_a_loop_is_found(source):
    assert list(made_anew(source)) == [1]


def test_a_set_that_is_there_is_none_of_them():
    assert list(made_anew("known = set(c)\n[a for a in b if a in known]\n[a for a in b if a in (1, 2)]")) == []


def test_the_package_has_none():
    found = [
        f"{path.relative_to(FINAL)}:{line}"
        for path in sorted((FINAL / "moa").rglob("*.py"))
        for line in made_anew(path.read_text(encoding="utf-8"))
    ]
    assert found == []
