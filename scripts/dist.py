"""Build what is published, the wheel and the sdist, into ``dist``: twice, and the same source must give the same bytes.

Nothing in them depends on the time or the machine: hatchling, which constraints.txt pins, sorts the files and gives all
of them the time SOURCE_DATE_EPOCH, or one that is fixed. The second build is made from the sdist of the first.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def build(source: Path, target: Path) -> dict[str, Path]:
    """Build both from a folder; suffix → file."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(target)],
        cwd=source,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return {path.suffix: path for path in sorted(target.iterdir())}


def digest(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def changed() -> list[str]:
    """What git sees that is in no commit; nothing where there is no git."""
    command = ["git", "status", "--porcelain"]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        return []


def main() -> None:
    """Build twice, compare, check, and print the hashes."""
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    first = build(ROOT, dist)
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(first[".gz"]) as archive:
            safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # not in 3.11.2
            archive.extractall(folder, **safely)
        [unpacked] = Path(folder).iterdir()
        again = build(unpacked, Path(folder) / "again")
        different = [path.name for suffix, path in first.items() if digest(path) != digest(again[suffix])]
    if different:
        raise SystemExit(f"dist: a second build gives other bytes: {', '.join(different)}")
    check = [sys.executable, "-m", "twine", "--no-color", "check", "--strict", *map(str, first.values())]
    if subprocess.run(check, check=False).returncode:
        raise SystemExit("dist: twine does not accept them; see above.")
    for path in first.values():
        print(f"{digest(path)}  dist/{path.name}  {path.stat().st_size / 1e6:.1f} MB, built twice with the same bytes")
    if files := changed():
        print(f"Not to be published: {len(files)} changed files are in no commit.", file=sys.stderr)


if __name__ == "__main__":
    main()
