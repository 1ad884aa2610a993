# Sourced by reproduce.sh and tests/run.sh from the repository's root: a virtual environment with the pinned packages.
# PYTHON chooses the interpreter, VENV the folder of the environment, TORCH_INDEX a further package index, from which torch
# comes where it has its version: https://download.pytorch.org/whl/cpu has it without CUDA. What is there already is used
# again. Arguments of set_up are further files of pinned packages.
VENV="${VENV:-.venv}"

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3.12 python3.11 python3.13 python3 python}; do
        if command -v "$candidate" >/dev/null &&
            "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    echo "Python 3.11 to 3.13 is needed and was not found; install one, or name it: PYTHON=/path/to/python bash $0" >&2
    return 1
}

pip_install() {
    "$VENV/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check \
        ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} "$@" || return 2
}

set_up() {
    local python stamp file name installed=""
    if [ ! -x "$VENV/bin/python" ]; then
        python="$(find_python)" || return 2
        echo "Setting up $VENV with $python"
        "$python" -m venv "$VENV" || return 2
    fi
    # The stamp is written last, so that an installation cut short is done again.
    stamp="$(cat requirements.txt pyproject.toml | cksum)"
    if [ "$(cat "$VENV/.requirements" 2>/dev/null)" != "$stamp" ]; then
        echo "Installing the pinned requirements (minutes, about 6 GB, half of it without CUDA, the first time only)"
        pip_install -r requirements.txt || return 2
        pip_install --no-deps --editable . || return 2
        installed=1
        echo "$stamp" >"$VENV/.requirements"
    fi
    for file in "$@"; do
        name=".${file//\//-}"
        stamp="$(cat requirements.txt "$file" | cksum)"
        if [ "$(cat "$VENV/$name" 2>/dev/null)" != "$stamp" ]; then
            echo "Installing $file"
            pip_install --constraint requirements.txt -r "$file" || return 2
            installed=1
            echo "$stamp" >"$VENV/$name"
        fi
    done
    # On all cores, where pip would take one. Some files of packages are templates, or for another Python.
    [ -z "$installed" ] || "$VENV/bin/python" -m compileall -q -j 0 "$VENV/lib" >/dev/null 2>&1 || true
    PATH="$(cd "$VENV/bin" && pwd):$PATH"
    export PATH
}
