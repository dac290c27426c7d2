"""The site: its own check finds dead links and requests to other hosts, and it works from a folder in a browser."""

from __future__ import annotations

import base64
import importlib.util
import io
import re
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from glyphnet.data import load
from glyphnet.pages.playground import ImageSet, playground_page

from .browsing import wait_until

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


@pytest.fixture(scope="module")
def small_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of two pages, a lab's figure and the playground, made as the large one."""
    pytest.importorskip("sphinx", reason="the site's generator is not installed: pip install 'glyphnet[site]'")
    module = site()
    folder = tmp_path_factory.mktemp("site")
    lab = folder / "source" / "_extra" / "lab"
    lab.mkdir(parents=True)
    pngs = [base64.b64encode(encoded(shade)).decode() for shade in (0, 255)]
    lab.joinpath("lab.html").write_text(
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="data:image/png;base64,{pngs[0]}">'
        f'<img src="data:image/png;base64,{pngs[1]}" alt="A square"></picture>'
    )
    figure = "".join(
        f'<img class="only-{colours}" alt="{alt}" src="lab/{picture.name}">'
        for colours, picture, alt in module.write_first_figure(lab)
    )
    splits = load("digits")
    play = playground_page([ImageSet("digits", "Source of the digits.", splits.train, splits.test)])
    lab.with_name("playground.html").write_text(play, encoding="utf-8")
    source = folder / "source"
    source.joinpath("index.md").write_text(
        "# A page\n\n[The other page](other.md#what-it-says)\n\n"
        f'`````{{raw}} html\n<p><a href="playground.html">The playground</a></p>{figure}\n`````\n\n'
        "```{toctree}\n:hidden:\n\nother\n```\n"
    )
    long = "A line of code, longer than a phone is wide: " + "x" * 200
    source.joinpath("other.md").write_text(
        f"# Another page\n\n## What it says\n\n```text\n{long}\n```\n\n"
        "```{eval-rst}\n.. autofunction:: glyphnet.load\n```\n"
    )
    assert module.write_site(source, folder / "site") == 0
    assert module.faults(folder / "site") == []
    return folder / "site"


def encoded(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (40, 40), shade).save(file, "PNG")
    return file.getvalue()


# Sphinx warns of what its own next version changes.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
@pytest.mark.parametrize(("scheme", "width", "shown"), [("light", 1280, 255), ("dark", 390, 0)])
def test_the_site_works_from_a_folder_and_asks_for_nothing(
    small_site: Path, open_page: Any, scheme: str, width: int, shown: int
) -> None:
    opened = open_page(small_site / "index.html", scheme=scheme, width=width)
    page = opened.page
    pictures = page.locator("article img")
    seen = [picture.get_attribute("src") for picture in pictures.all() if picture.is_visible()]
    assert seen == [f"lab/first-{scheme}.png"], "a figure has the page's colours"
    assert Image.open(small_site / seen[0]).getpixel((0, 0)) == shown
    page.click("article >> text=The other page")
    assert page.url.endswith("other.html#what-it-says")
    assert "glyphnet.load" in page.inner_text("article")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.go_back()
    page.click("article >> text=The playground")
    page.wait_for_selector("html[data-ready]")
    page.click("#step")
    wait_until(page, "() => location.hash.endsWith('steps=1')")
    assert opened.console == []
    assert [url for url in opened.requests if not url.startswith((small_site.as_uri(), "data:", "blob:"))] == []
