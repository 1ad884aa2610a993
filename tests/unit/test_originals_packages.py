"""Packages that the original used: which of them the package needs when it runs, and for what."""

import ast

from support import ROOT

#: What is imported of each, by module. The others of requirements.txt are there as what the original used.
NEEDED = {
    "iterstrat": {"iterstrat.ml_stratifiers": {"IterativeStratification", "MultilabelStratifiedKFold"}},
    "torch_optimizer": {"torch_optimizer": {"RAdam"}},
    "resnest": {"resnest.torch.resnet": {"Bottleneck", "ResNet"}, "resnest.torch.ablation": {"resnest_model_urls"}},
}
#: Not imported: pytorch-ranger is what torch-optimizer needs, and TabNet is a network of the package.
NOT_NEEDED = {"pytorch_ranger", "pytorch_tabnet", "seaborn"}


def test_what_is_imported_of_them():
    found = {}
    for path in (ROOT / "final" / "moa").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                package = node.module.split(".")[0]
                names = found.setdefault(package, {}).setdefault(node.module, set())
                names |= {each.name for each in node.names}
            elif isinstance(node, ast.Import):
                for each in node.names:
                    found.setdefault(each.name.split(".")[0], {})
    assert {package: found.get(package) for package in NEEDED} == NEEDED
    assert not NOT_NEEDED & found.keys()
