"""A stand-in for Kaggle's client, which keeps what Kaggle would know in a JSON file."""

import json
import stat
import sys

#: Data sets need one look until they are ready, kernels two until they have ended.
FAKE = """#!{python}
import json, sys
from pathlib import Path
words, file = sys.argv[1:], Path("{state}")
kaggle = json.loads(file.read_text())
kaggle["calls"].append(" ".join(words))
def end(text="", status=0):
    file.write_text(json.dumps(kaggle))
    print(text)
    sys.exit(status)
def facts(kind):
    return json.loads((Path(words[words.index("-p") + 1]) / f"{{kind}}-metadata.json").read_text())
kernels, datasets = kaggle["kernels"], kaggle["datasets"]
if words[0] == "quota":
    end("resource,used,remaining,total,refreshAt\\nGPU,10.00h,20.00h,30.00h,2026-12-01\\nTPU,0h,20h,20h,2026-12-01")
elif words[:2] == ["datasets", "status"]:
    if words[2] not in datasets:
        end("403 Client Error: Forbidden", 1)
    datasets[words[2]] += 1
    end("ready" if datasets[words[2]] > 1 else "pending")
elif words[:2] in (["datasets", "create"], ["datasets", "version"]):
    name = facts("dataset")["id"]
    if (words[1] == "create") == (name in datasets):
        end("Dataset creation error: the title is already in use")
    datasets[name] = 0
    end("Your private Dataset is being created.")
elif words[:2] == ["kernels", "push"]:
    fact = facts("kernel")
    active = [name for name, kernel in kernels.items() if kernel["gpu"] and kernel["looks"] < 2]
    if fact["enable_gpu"] and len(active) + kaggle["others"] >= 2:
        kaggle["others"] = 0
        end("Kernel push error: Maximum batch GPU session count of 2 reached.")
    sources = [kernels[need] for need in fact["kernel_sources"] if need.startswith("me/")]
    assert all(kernel["looks"] >= 2 for kernel in sources), "pushed before its sources have ended"
    version = kernels.get(fact["id"], {{"version": 0}})["version"] + 1
    kernels[fact["id"]] = {{"gpu": fact["enable_gpu"], "looks": 0, "version": version}}
    end(f"Kernel version {{version}} successfully pushed.  Please check progress at https://...")
elif words[:2] == ["kernels", "status"]:
    kernel = kernels[words[2]]
    kernel["looks"] += 1
    if kernel["looks"] < 2:
        end(f'{{words[2]}} has status "KernelWorkerStatus.{{kaggle["at_first"]}}"')
    if words[2] in kaggle["failing"]:
        end(f'{{words[2]}} has status "KernelWorkerStatus.ERROR"\\nFailure message: "out of memory"')
    end(f'{{words[2]}} has status "KernelWorkerStatus.COMPLETE"')
elif words[:3] == ["competitions", "submit", "lish-moa"]:
    end("403 Client Error: Forbidden" if kaggle["rules"] else "Successfully submitted", kaggle["rules"])
end("unknown command", 2)
"""


def install(folder, monkeypatch):
    """Put the stand-in in the place of the client; returns a function that reads what Kaggle knows, and changes it."""
    script, state = folder / "bin" / "kaggle", folder / "state.json"
    script.parent.mkdir()
    script.write_text(FAKE.format(python=sys.executable, state=state))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(script.parent))
    monkeypatch.setattr("moa.data.kaggle_client._folder", lambda: str(script.parent))
    nothing = {"calls": [], "datasets": {}, "kernels": {}, "failing": []}
    state.write_text(json.dumps(nothing | {"others": 0, "at_first": "RUNNING", "rules": 0}))

    def known(**changes):
        facts = json.loads(state.read_text()) | changes
        state.write_text(json.dumps(facts))
        return facts

    return known
