"""The site's own check: links that lead nowhere and requests to other hosts are found."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parent.parent


def site() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_build", ROOT / "docs" / "site" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_that_a_page_links_to_is_on_the_site(tmp_path: Path) -> None:
    module = site()
    module.write_pages(tmp_path)
    contents = (tmp_path / "index.md").read_text(encoding="utf-8").partition("{toctree}")[2]
    assert {"SECURITY", "CONTRIBUTING", "docs/data"} <= set(contents.split())
    lessons = {f"{path.stem}.md" for path in (ROOT / "docs" / "course").glob("*.ipynb")}  # written by make course
    for page in tmp_path.rglob("*.md"):
        for link in module._LINK.findall(page.read_text(encoding="utf-8")):
            if "://" not in link and link.endswith(".md") and Path(link).name not in lessons:
                assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_dead_links_and_requests_to_other_hosts_are_found_and_nothing_else(tmp_path: Path) -> None:
    module = site()
    (tmp_path / "sub").mkdir()
    (tmp_path / "a picture.png").touch()
    (tmp_path / "index.html").write_text(
        '<h1 id="top">A</h1><a href="#top"></a><a href="sub"></a><a href="sub/index.html#there"></a>'
        '<img src="a%20picture.png"><img src="data:image/png;base64,"><a href="https://example.org/">elsewhere</a>'
    )
    (tmp_path / "sub" / "index.html").write_text('<p id="there"></p><a href="../index.html"></a>')
    assert module.faults(tmp_path) == []
    (tmp_path / "sub" / "other.html").write_text(
        '<a href="#gone"></a><a href="gone.html"></a><a href="index.html#gone"></a>'
        '<script src="https://example.org/a.js"></script><link rel="stylesheet" href="//example.org/b.css">'
    )
    name = "sub/other.html"
    assert module.faults(tmp_path) == [
        f"{name} loads //example.org/b.css from another host",
        f"{name} loads https://example.org/a.js from another host",
        f"{name}: the link #gone leads nowhere",
        f"{name}: the link gone.html leads nowhere",
        f"{name}: the link index.html#gone leads nowhere",
    ]


def test_the_environment_of_the_site_holds_what_its_labs_need() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = re.search(r"glyphnet\[(.+)\]", " ".join(extras["site"]))
    assert named is not None
    assert {"compare", "tune"} <= set(named[1].split(","))
