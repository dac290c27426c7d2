"""``glyphnet studio``: what it says when it starts, that it ends, and the page without a server."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

from glyphnet.cli import app

from .. import forking

pytest.importorskip("fastapi")


def run(*words: object):
    return CliRunner().invoke(app, ["studio", *map(str, words)])


def test_it_says_where_it_is_with_a_secret_and_ends_on_sigterm(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "glyphnet", "studio", str(tmp_path / "new"), "--no-open", "--json"]
    with forking.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as served:
        line = served.stderr.readline()
        assert line.startswith(f"Studio of {tmp_path / 'new'}: http://127.0.0.1:"), line
        address = line.split()[-1]
        with urllib.request.urlopen(f"{address}api/state") as answer:
            assert json.load(answer)["folder"] == str(tmp_path / "new")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{address.rsplit('/', 2)[0]}/")
        second = forking.run([*command[:-1], "--port", "0"], capture_output=True, text=True, check=False)
        assert second.returncode == 1
        assert f"another studio has it open (process {served.pid})" in second.stderr
        served.send_signal(signal.SIGTERM)
        out, said = served.communicate(timeout=30)
    assert (served.returncode, said) == (0, "")
    assert json.loads(out)["address"] == address
    assert len(address.rstrip("/").rpartition("/")[2]) >= 24


def test_the_page_without_a_server_is_one_file_that_is_replaced_only_when_asked(tmp_path: Path) -> None:
    page = tmp_path / "studio.html"
    found = run("--html", page, "--json")
    assert found.exit_code == 0, found.output
    assert "digits" in json.loads(found.stdout)["sets"]
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert run("--html", page).exit_code == 1
    assert run("--html", page, "--overwrite").exit_code == 0


def test_options_without_effect_are_refused(tmp_path: Path) -> None:
    for words in (("--html", tmp_path / "x.html", "--port", 80), (tmp_path, "--overwrite"), (tmp_path, "--html", "y")):
        assert run(*words).exit_code == 2, words
    assert not list(tmp_path.iterdir())
