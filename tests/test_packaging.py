"""What a newcomer meets first: make, the choice of Python, the pinned versions, the wheel."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MAKE_VENV = ROOT / "scripts" / "make-venv"


def canonical(name: str) -> str:
    """The one spelling of a package's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    """Name → version of every line of constraints.txt, the first where there are several."""
    found: dict[str, str] = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            match = re.fullmatch(r"([\w.-]+)==([\w.]+)(?: ; .+)?", line)
            assert match, f"constraints.txt: {line!r} pins no exact version"
            found.setdefault(canonical(match[1]), match[2])
    return found


def requirements() -> list[str]:
    """Every requirement in pyproject.toml, of the package and of its extras, as written there."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    everything = [*PROJECT["project"]["dependencies"], *(line for extra in extras for line in extra)]
    return [line for line in everything if not line.startswith("glyphnet[")] + PROJECT["build-system"]["requires"]


@pytest.mark.parametrize("requirement", requirements())
def test_every_requirement_is_pinned_in_constraints(requirement: str):
    match = re.match(r"([\w.-]+)(?:>=([\d.]+))?", requirement)
    assert match, requirement
    version = pins().get(canonical(match[1]))
    assert version is not None, f"{requirement} is not in constraints.txt: run make constraints"
    lowest = [int(part) for part in (match[2] or "0").split(".")]
    assert [int(part) for part in version.split(".")] >= lowest, f"{requirement} is pinned at {version}"


def test_torch_is_pinned_at_the_release_we_measure_with():
    assert pins()["torch"] == "2.13.0"


def make(*words: str, **changes: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    return subprocess.run(
        ["make", *words],
        cwd=ROOT,
        env={**environment, **changes},
        capture_output=True,
        text=True,
        check=False,
    )


def test_make_help_names_every_target_that_a_person_calls():
    shown = make("help")
    assert shown.returncode == 0
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert phony
    assert re.findall(r"^  make (\w+) +\S", shown.stdout, re.MULTILINE) == phony[1].split()


def dev(*words: str) -> subprocess.CompletedProcess[str]:
    """What scripts/dev.py says or does, with the Python of the tests."""
    command = [sys.executable, str(ROOT / "scripts" / "dev.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def dev_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dev", ROOT / "scripts" / "dev.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["dev"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def test_make_calls_the_script_that_runs_without_make_for_every_target(tmp_path: Path):
    venv = tmp_path / "venv"
    targets = dev_module().TARGETS
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: help (.+)$", text, re.MULTILINE)
    assert phony
    assert phony[1].split() == list(targets)
    assert list(dev_module().helped()) == list(targets)
    planned = make("--dry-run", *targets, f"VENV={venv}", "ARGS=-k 'a b'").stdout
    called = re.findall(rf'^{venv}/bin/python scripts/dev.py --venv "{venv}" (\w+)', planned, re.MULTILINE)
    assert called == list(targets)
    assert "test -k 'a b'\n" in planned
    assert planned.count("scripts/make-venv") == 1


def planned_commands(venv: Path, *words: str) -> str:
    planned = dev("--venv", str(venv), "--dry-run", *words)
    assert planned.returncode == 0, planned.stderr
    return planned.stdout


@pytest.mark.parametrize(("target", "extras"), [("demo", ""), ("test", "[test]"), ("lint", "[dev]")])
def test_each_target_installs_what_it_needs_and_no_more(tmp_path: Path, target: str, extras: str):
    venv = tmp_path / "venv"
    plan = planned_commands(venv, target)
    assert f"--editable '.{extras}'" in plan or f"--editable .{extras}\n" in plan
    assert plan.count("--constraint constraints.txt") == 2
    # The larger sizes hold the smaller: make demo behind make lint installs nothing again.
    held = {"": [".core"], "[test]": [".core", ".test"], "[dev]": [".core", ".test", ".dev"]}[extras]
    assert re.findall(r"^touch (.+)$", plan, re.MULTILINE) == [str(venv / stamp) for stamp in held]


def test_an_environment_that_is_up_to_date_is_left_alone(tmp_path: Path):
    venv = tmp_path / "venv"
    venv.mkdir()
    for stamp in (".python", ".core", ".test"):
        (venv / stamp).touch()
    plan = planned_commands(venv, "test", "-k", "a b", "--lf")
    assert "install" not in plan
    assert plan.startswith("PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 ")
    assert plan.endswith(" -m pytest -n 4 --dist loadfile --no-loadscope-reorder -k 'a b' --lf\n")
    os.utime(venv / ".test", (0, 0))  # as if pyproject.toml had been changed since
    assert "install" in planned_commands(venv, "test")


def test_the_script_ends_with_the_status_of_what_failed(tmp_path: Path):
    module = dev_module()
    runner = module.Dev(tmp_path)
    runner.run(sys.executable, "-c", "")
    with pytest.raises(SystemExit) as ended:
        runner.run(sys.executable, "-c", "import sys; sys.exit(3)")
    assert ended.value.code == 3


def test_the_script_finds_the_tools_of_an_environment_of_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    module = dev_module()
    assert module.Dev(tmp_path).tool("deno") == str(tmp_path / "bin" / "deno")
    monkeypatch.setattr(module, "os", SimpleNamespace(name="nt"))
    assert module.Dev(tmp_path).tool("deno") == str(tmp_path / "Scripts" / "deno.exe")


def test_a_python_that_does_not_fit_is_refused_with_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    module = dev_module()
    monkeypatch.setattr(module, "PYTHONS", ((3, 98), (3, 99)))
    with pytest.raises(SystemExit, match=r"needs Python 3.98 to 3.99; this is 3\.\d+\.\d+"):
        module.Dev(tmp_path / "venv").prepare("core")
    assert not (tmp_path / "venv").exists()


def test_the_script_makes_an_environment(tmp_path: Path):
    module = dev_module()
    runner = module.Dev(tmp_path / "venv")
    runner._make()
    assert (tmp_path / "venv" / ".python").exists()
    runner.python("-c", "import sys; assert sys.prefix != sys.base_prefix")


def tools_only(folder: Path) -> Path:
    """A folder for PATH with what a shell script needs and no Python."""
    folder.mkdir()
    for tool in ("sh", "cat", "rm"):
        found = next(Path(place) / tool for place in os.environ["PATH"].split(":") if (Path(place) / tool).exists())
        (folder / tool).symlink_to(found)
    return folder


def stand_in(path: Path, version: str) -> None:
    """An interpreter too old for us, as the shell sees it: it tells its version and refuses our question."""
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "Python {version}" || exit 1\n', encoding="utf-8")
    path.chmod(0o755)


def make_venv(folder: Path, tools: Path, *python: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(MAKE_VENV), str(folder), *python]
    return subprocess.run(command, env={"PATH": str(tools)}, capture_output=True, text=True, check=False)


def test_without_python_it_says_what_to_install(tmp_path: Path):
    run = make_venv(tmp_path / "venv", tools_only(tmp_path / "bin"))
    assert run.returncode == 1
    assert run.stderr.startswith("GlyphNet needs Python 3.11, 3.12, 3.13 or 3.14; here is no python3.\n")
    assert "brew install python@3.13" in run.stderr
    assert "sudo apt install python3 python3-venv" in run.stderr
    assert not (tmp_path / "venv").exists()


def test_an_old_python_is_named(tmp_path: Path):
    tools = tools_only(tmp_path / "bin")
    stand_in(tools / "python3", "3.9.2")
    run = make_venv(tmp_path / "venv", tools)
    assert run.returncode == 1
    assert run.stderr.startswith("GlyphNet needs Python 3.11, 3.12, 3.13 or 3.14; here is Python 3.9.2.\n")


def test_a_newer_python_beside_an_old_one_is_found(tmp_path: Path):
    tools = tools_only(tmp_path / "bin")
    stand_in(tools / "python3", "3.9.2")
    name = f"python3.{sys.version_info[1]}"
    (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    (tools / name).chmod(0o755)
    run = make_venv(tmp_path / "venv", tools)
    assert (run.returncode, run.stderr) == (0, "")
    assert (tmp_path / "venv" / "bin" / "python").exists()


def test_a_python_without_venv_is_told_what_to_install(tmp_path: Path):
    tools = tools_only(tmp_path / "bin")
    # Debian's python3 without python3-venv: everything works but the import of ensurepip.
    block = "import sys; sys.modules['ensurepip'] = None; exec(sys.argv[1])"
    (tools / "python3").write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{block}" "$2"\n', encoding="utf-8")
    (tools / "python3").chmod(0o755)
    run = make_venv(tmp_path / "venv", tools)
    version = "{}.{}".format(*sys.version_info)
    assert run.returncode == 1
    assert run.stderr == (
        f"python3 ({version}) has no venv, so no environment can be made with it. "
        "Install it, then run make again:\n"
        f"  Debian, Ubuntu:  sudo apt install python{version}-venv\n"
        f"  macOS:           brew install python@{version}\n"
    )
    assert not (tmp_path / "venv").exists()


def test_the_python_that_was_named_is_taken_or_refused(tmp_path: Path):
    refused = make_venv(tmp_path / "venv", tools_only(tmp_path / "bin"), "/opt/no python")
    assert (refused.returncode, "here is no /opt/no python." in refused.stderr) == (1, True)
    assert make_venv(tmp_path / "venv", tmp_path / "bin", sys.executable).returncode == 0


def test_the_wheel_holds_the_package_its_data_and_nothing_else(tmp_path: Path):
    from hatchling.builders.wheel import WheelBuilder

    wheel = next(WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"]))
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    ours = {name for name in names if not name.split("/")[0].endswith(".dist-info")}
    source = ROOT / "src"
    there = {
        path.relative_to(source).as_posix()
        for path in (source / "glyphnet").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert ours == there
    assert "glyphnet/py.typed" in ours
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def built(source: Path, target: Path) -> dict[str, bytes]:
    """Name → bytes of the sdist and the wheel, built from a folder."""
    from hatchling.builders.sdist import SdistBuilder
    from hatchling.builders.wheel import WheelBuilder

    paths = [
        *SdistBuilder(str(source)).build(directory=str(target), versions=["standard"]),
        *WheelBuilder(str(source)).build(directory=str(target), versions=["standard"]),
    ]
    return {Path(path).name: Path(path).read_bytes() for path in paths}


def test_a_build_elsewhere_at_another_time_and_from_the_sdist_gives_the_same_bytes(tmp_path: Path):
    first = built(ROOT, tmp_path / "first")
    [sdist] = [name for name in first if name.endswith(".tar.gz")]
    with tarfile.open(tmp_path / "first" / sdist) as archive:
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # not in 3.11.2
        archive.extractall(tmp_path / "unpacked", **safely)
    [source] = (tmp_path / "unpacked").iterdir()
    for path in source.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        if path.is_file():
            path.chmod(0o700 if path.stat().st_mode & 0o100 else 0o600)
    assert len(first) == 2
    again = built(source, tmp_path / "second")
    assert {name: again[name] == content for name, content in first.items()} == dict.fromkeys(first, True)


def test_the_version_stands_in_one_place():
    from glyphnet import __version__

    with_version = [
        path.relative_to(ROOT).as_posix()
        for path in [*ROOT.glob("*.toml"), *(ROOT / "src").rglob("*.py"), *(ROOT / "docs").glob("*.md")]
        if re.search(rf'(?<![\w.]){re.escape(__version__)}["\']', path.read_text(encoding="utf-8"))
    ]
    assert with_version == ["src/glyphnet/_version.py"]


@pytest.mark.parametrize("script", [".ci/run", "scripts/make-venv", "docker/install-onnx"])
def test_scripts_are_executable_and_parse(script: str):
    assert os.access(ROOT / script, os.X_OK)
    shell = "bash" if script == ".ci/run" else "sh"
    assert subprocess.run([shell, "-n", str(ROOT / script)], capture_output=True, check=False).stderr == b""
