"""Install the wheel in ``dist`` into an empty environment, offline, and run README's examples there.

The packages come from a folder of wheels, ``build/wheelhouse``, which is filled once in the versions that
constraints.txt pins. What follows has no network and no source tree: ``build/trial`` is what a user has.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WHEELHOUSE, TRIAL = ROOT / "build" / "wheelhouse", ROOT / "build" / "trial"
BIN = TRIAL / ("Scripts" if os.name == "nt" else "bin")
PINNED = ("--quiet", "--only-binary=:all:", "--constraint", str(ROOT / "constraints.txt"))


def clean_environment() -> dict[str, str]:
    """The environment without what pip or Python would take from this machine, and the trial's commands first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    return kept | {"PATH": os.pathsep.join([str(BIN), kept["PATH"]]), "PIP_CONFIG_FILE": os.devnull}


def run(*words: str, cwd: Path = TRIAL) -> str:
    """Run a command of the trial's environment; its output, or the end of this one."""
    print("$", shlex.join(words) if "\n" not in words[-1] else "python (an example of README.md)", flush=True)
    command = [str(BIN / words[0]), *words[1:]]
    done = subprocess.run(command, cwd=cwd, env=clean_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"trial: status {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def fill_wheelhouse(wheel: Path) -> None:
    """Fetch what the wheel needs; what is there already is not fetched again."""
    WHEELHOUSE.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    known = ("--find-links", str(WHEELHOUSE))
    subprocess.run([*pip, "download", *PINNED, *known, "--dest", str(WHEELHOUSE), str(wheel)], check=True)


def examples() -> list[tuple[str, str]]:
    """README's blocks for the shell and for Python, in order, without those for a clone."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(sh|python)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(language, code) for language, code in blocks if not code.startswith(("make ", "pip "))]


def weight(folder: Path) -> float:
    """Bytes of the files in a folder, in megabytes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink()) / 1e6


def main() -> None:
    """Install, check, run, measure."""
    wheels = list((ROOT / "dist").glob("*.whl"))
    if len(wheels) != 1:
        raise SystemExit(f"trial: dist holds {len(wheels)} wheels, and must hold one. Run make dist first.")
    fill_wheelhouse(wheels[0])
    shutil.rmtree(TRIAL, ignore_errors=True)
    venv.create(TRIAL, with_pip=True)
    before = weight(TRIAL)
    run(
        "python",
        "-m",
        "pip",
        "install",
        "--no-index",
        "--no-compile",
        "--find-links",
        str(WHEELHOUSE),
        *PINNED,
        str(wheels[0]),
    )
    own = weight(TRIAL) - before
    [torch] = TRIAL.glob("**/site-packages/torch")
    empty = TRIAL / "empty"
    empty.mkdir()
    where = run("python", "-c", "import glyphnet; print(glyphnet.__file__)", cwd=empty).strip()
    package = Path(where).parent
    assert TRIAL in package.parents, f"glyphnet comes from {where}, not from the wheel"
    assert (package / "py.typed").exists()
    version = run("glyphnet", "--version", cwd=empty).split()[-1]
    assert version == wheels[0].name.split("-")[1], version
    run("glyphnet", "doctor", "--json", cwd=empty)
    for language, code in examples():
        if language == "python":
            print(run("python", "-W", "error", "-c", code, cwd=empty), end="")
            continue
        for line in code.splitlines():
            if words := shlex.split(line, comments=True):
                run(*words, cwd=empty)
    print(f"The wheel works. It and what it needs take {own:,.0f} MB, {weight(torch):,.0f} MB of them PyTorch.")


if __name__ == "__main__":
    main()
