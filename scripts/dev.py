"""What a developer runs, by the same names as ``make``: ``python scripts/dev.py test``.

``make`` calls this file, so both do the same; on Windows, which has no make, it is called directly. It needs no package
that Python does not bring: the environment .venv is made and filled by what is said here. The line of help of each
target stands in the Makefile.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = (3, 11), (3, 14)  # the oldest and the newest: PyTorch 2.13 has no build for 3.15

SIZES = {
    "core": (),
    "test": ("core",),
    "course": ("core",),
    "site": ("core", "course"),
    "dev": ("core", "test"),
    "bench": ("core", "test"),
}
"""Size of the environment → the smaller sizes that it holds. Each but "core" is an extra of pyproject.toml."""


@dataclass(frozen=True)
class Dev:
    """The environment, and how commands run in it.

    Attributes:
        folder: of the environment.
        dry: print the commands instead of running them.
    """

    folder: Path
    dry: bool = False

    def tool(self, name: str) -> str:
        """The path of a command of the environment."""
        windows = os.name == "nt"
        return str(self.folder / ("Scripts" if windows else "bin") / (f"{name}.exe" if windows else name))

    def python(self, *words: str, **environment: str) -> None:
        """Run the environment's Python."""
        self.run(self.tool("python"), *words, **environment)

    def run(self, *words: str, **environment: str) -> None:
        """Run a command in the project's folder; end with its status if it fails."""
        if self.dry:
            print(" ".join([*(f"{name}={value}" for name, value in environment.items()), shlex.join(words)]))
            return
        sys.stdout.flush()
        status = subprocess.run(words, cwd=ROOT, env={**os.environ, **environment}, check=False).returncode
        if status:
            raise SystemExit(status if status > 0 else 128 - status)

    def pip(self, *words: str) -> None:
        """Run pip."""
        self.python("-m", "pip", "--disable-pip-version-check", "--no-input", *words)

    def install(self, *words: str) -> None:
        """Install packages in the versions of constraints.txt."""
        self.pip("install", "-qq", "--only-binary=:all:", "--constraint", "constraints.txt", *words)

    # The environment. A stamp is older than pyproject.toml or constraints.txt after a change there, and its size is
    # then installed again; otherwise nothing is done. A larger size holds the smaller ones.

    def prepare(self, size: str) -> None:
        """Make the environment if it is absent, and install what a size needs, unless that is done."""
        if not (self.folder / ".python").exists():
            self._make()
        stamp = self.folder / f".{size}"
        sources = [self.folder / ".python", ROOT / "pyproject.toml", ROOT / "constraints.txt"]
        if stamp.exists() and all(not s.exists() or s.stat().st_mtime <= stamp.stat().st_mtime for s in sources):
            return
        extras = "" if size == "core" else f"[{size}]"
        takes = "PyTorch is large, so the first time takes some minutes."
        print(f"Installing glyphnet{extras} into {self.folder}; {takes}", file=sys.stderr)
        # --no-build-isolation: the build backend too comes from constraints.txt, not newest from the registry.
        self.install("hatchling", "editables")
        self.install("--no-build-isolation", "--editable", f".{extras}")
        for held in (*SIZES[size], size):
            if self.dry:
                print(f"touch {self.folder / f'.{held}'}")
            else:
                (self.folder / f".{held}").touch()

    def _make(self) -> None:
        """Make the environment with the Python that runs this."""
        oldest, newest = PYTHONS
        if not oldest <= sys.version_info[:2] <= newest:
            here = ".".join(map(str, sys.version_info[:3]))
            raise SystemExit(
                f"GlyphNet needs Python 3.{oldest[1]} to 3.{newest[1]}; this is {here}. Run it with another."
            )
        if self.dry:
            print(f"make the environment {self.folder}")
            return
        venv.create(self.folder, with_pip=True)
        (self.folder / ".python").touch()


# The targets


def demo(dev: Dev, words: Sequence[str]) -> None:
    """Train on the digits."""
    dev.python("-m", "glyphnet", "train", "digits", "--out", "runs/demo", "--overwrite", *words)


def test(dev: Dev, words: Sequence[str]) -> None:
    """Four workers, each with the tests of whole files: two cores are then busy also while tests wait.

    One thread of computing each, for more would only wait for another. Python may keep bytecode even where the
    environment forbids it: otherwise each worker, and each of the hundreds of processes that tests start, compiles
    again.
    """
    how = ("-n", "4", "--dist", "loadfile", "--no-loadscope-reorder")
    dev.python("-m", "pytest", *how, *words, PYTHONDONTWRITEBYTECODE="", OMP_NUM_THREADS="1")


def fuzz(dev: Dev, words: Sequence[str]) -> None:
    """Read damaged files, for as many seconds as the first word says."""
    dev.python("-m", "tests.fuzz", *words, OMP_NUM_THREADS="1")


def course(dev: Dev, words: Sequence[str]) -> None:
    """Run the lessons."""
    dev.python("docs/course/run.py", *words, OMP_NUM_THREADS="1")


def site(dev: Dev, words: Sequence[str]) -> None:
    """The lessons with their outputs, then the pages."""
    course(dev, words)
    dev.python("docs/site/build.py", OMP_NUM_THREADS="1")


def bench(dev: Dev, words: Sequence[str]) -> None:
    """Every script in benchmarks/."""
    for script in sorted((ROOT / "benchmarks").glob("[a-z]*.py")):
        print(f"== benchmarks/{script.name}")
        dev.python(f"benchmarks/{script.name}", *words)


def lint(dev: Dev, words: Sequence[str]) -> None:
    """Ruff, mypy and import-linter for Python; Deno for the JavaScript: deno.json says which files and how."""
    dev.python("-m", "ruff", "check", ".")
    dev.python("-m", "ruff", "format", "--check", ".")
    dev.python("-m", "mypy", "--strict", "src")
    dev.run(dev.tool("lint-imports"))
    _deno(dev, "fmt", "--check", "--quiet")
    _deno(dev, "lint", "--quiet")
    _deno(dev, "check", "--quiet", "src", "tests")


def fmt(dev: Dev, words: Sequence[str]) -> None:
    """Format, and mend what can be mended."""
    dev.python("-m", "ruff", "format", ".")
    dev.python("-m", "ruff", "check", "--fix", ".")
    _deno(dev, "fmt", "--quiet")
    _deno(dev, "lint", "--fix", "--quiet")


def _deno(dev: Dev, *words: str) -> None:
    """What Deno keeps, it keeps in the environment."""
    dev.run(dev.tool("deno"), *words, DENO_DIR=str(dev.folder / "deno"), DENO_NO_UPDATE_CHECK="1")


def docs(dev: Dev, words: Sequence[str]) -> None:
    """The generated pages."""
    dev.python("docs/generate.py", *words)


def dist(dev: Dev, words: Sequence[str]) -> None:
    """The wheel and the sdist, built twice."""
    dev.python("scripts/dist.py")


def trial(dev: Dev, words: Sequence[str]) -> None:
    """The wheel in an empty environment."""
    dist(dev, words)
    dev.python("scripts/trial.py")


def sbom(dev: Dev, words: Sequence[str]) -> None:
    """The parts of an installation that has the wheel alone, as CycloneDX; the same wheel gives the same file."""
    trial(dev, words)
    how = ("--output-reproducible", "--pyproject", "pyproject.toml", "--output-file", "dist/sbom.cdx.json")
    dev.python("-m", "cyclonedx_py", "environment", *how, str(ROOT / "build" / "trial"))


def images(dev: Dev, words: Sequence[str]) -> None:
    """Both images, by Docker."""
    dev.python("scripts/images.py")


def constraints(dev: Dev, words: Sequence[str]) -> None:
    """Pin the newest versions, for every platform and Python; torch stays."""
    dev.pip("install", "-qq", "uv")
    more = dev.folder / "more-requirements.in"
    if not dev.dry:
        more.write_text("torch==2.13.0\nhatchling\neditables\n", encoding="utf-8")
    how = ("--quiet", "--upgrade", "--universal", "--python-version", "3.11", "--all-extras", "--no-annotate")
    dev.run(
        dev.tool("uv"), "pip", "compile", *how, "--custom-compile-command", "make constraints",
        "--output-file", "constraints.txt", *words, "pyproject.toml", str(more),
    )  # fmt: skip


def clean(dev: Dev, words: Sequence[str]) -> None:
    """Remove the environment and what the targets have made, but for the developer's own runs."""
    made = ("runs/demo", "build", "dist", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis")
    folders = [*(ROOT / name for name in (*made, ".import_linter_cache")), dev.folder]
    for kind in ("src", "tests", "benchmarks", "docs"):
        folders += (ROOT / kind).rglob("__pycache__")
    for folder in folders:
        if dev.dry:
            print(f"remove {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


TARGETS: dict[str, tuple[str, Callable[[Dev, Sequence[str]], None]]] = {
    "demo": ("core", demo),
    "test": ("test", test),
    "fuzz": ("test", fuzz),
    "course": ("course", course),
    "site": ("site", site),
    "bench": ("bench", bench),
    "lint": ("dev", lint),
    "fmt": ("dev", fmt),
    "docs": ("core", docs),
    "dist": ("dev", dist),
    "trial": ("dev", trial),
    "sbom": ("dev", sbom),
    "images": ("test", images),
    "constraints": ("dev", constraints),
    "clean": ("", clean),
}
"""Target → the size of the environment that it needs, "" for none, and its function."""


def helped() -> dict[str, str]:
    """Target → its line of help, from the Makefile."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    lines = dict(re.findall(r"^(\w+):.*## (.+)$", text, re.MULTILINE))
    return {target: lines[target] for target in TARGETS}


def main() -> None:
    """Run one target; further words are its tool's: ``python scripts/dev.py test tests/nn -x``."""
    width = max(map(len, TARGETS)) + 2
    listed = "\n".join(f"  {target.ljust(width)}{line}" for target, line in helped().items())
    parser = argparse.ArgumentParser(
        description="Run what a developer runs.", formatter_class=argparse.RawDescriptionHelpFormatter, epilog=listed
    )
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", help="the environment; .venv unless given")
    parser.add_argument("--dry-run", action="store_true", help="print the commands instead of running them")
    parser.add_argument("target", choices=TARGETS, metavar="TARGET")
    parser.add_argument("words", nargs=argparse.REMAINDER, help="more words for the target's tool")
    given = parser.parse_args()
    size, run = TARGETS[given.target]
    dev = Dev(given.venv.absolute(), given.dry_run)
    if size:
        dev.prepare(size)
    run(dev, given.words)


if __name__ == "__main__":
    main()
