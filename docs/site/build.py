"""Build the site: ``make site``. A folder of plain files, which opens from a disk and asks no other host for anything.

The pages of this repository keep their places, so that their links hold; added are the lessons with their outputs
(`docs/course/run.py` has written them), a gallery of the labs, the playground, and the reference of public names.

    python docs/site/build.py [--out build/site]
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import shutil
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import glyphnet
from glyphnet.labs import LABS, load_lab, run_lab
from glyphnet.pages.playground import playground_page, sets_here

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BUILD = ROOT / "build"
LESSONS = BUILD / "course"
_LINK = re.compile(r"(?<=\]\()([^)\s#]+)")

CONTENTS = """
```{{toctree}}
:hidden:

docs/course/index
gallery
docs/guide
{pages}
reference
CHANGELOG
```
"""


def write_pages(source: Path) -> None:
    """The pages of the repository, with all that they link to; README.md and the course's become ``index.md``."""
    own = sorted(ROOT.glob("*.md"))
    pages = [*own, ROOT / "benchmarks" / "RESULTS.md"]
    for page in (*pages, *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "course").glob("*.md"))):
        text = page.read_text(encoding="utf-8")
        for link in set(_LINK.findall(text)):
            target = (page.parent / link).resolve()
            if "://" in link or not target.exists():
                continue
            if target.is_file() and target.suffix not in (".md", ".ipynb"):
                copy = source / target.relative_to(ROOT)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(target, copy)
        place = source / page.relative_to(ROOT)
        place = place.with_name("index.md") if page.name == "README.md" else place
        place.parent.mkdir(parents=True, exist_ok=True)
        links = {link: _site_link(page, link) for link in _LINK.findall(text)}
        place.write_text(_LINK.sub(lambda found, links=links: links[found[1]], text), encoding="utf-8")
    others = [f"docs/{path.stem}" for path in sorted((ROOT / "docs").glob("*.md")) if path.stem != "guide"]
    others += ["benchmarks/RESULTS", *(path.stem for path in own if path.stem not in ("README", "CHANGELOG"))]
    contents = CONTENTS.format(pages="\n".join(others))
    with (source / "index.md").open("a", encoding="utf-8") as file:
        file.write(contents)


def _site_link(page: Path, link: str) -> str:
    """Where a link of a page leads on the site: notebooks and READMEs have other names there."""
    if "://" in link:
        return link
    if link.endswith(".ipynb"):
        return link.removesuffix(".ipynb") + ".md"
    if (page.parent / link).is_dir():
        link = f"{link.rstrip('/')}/README.md"
    return link.replace("README.md", "index.md")


def write_lessons(source: Path) -> None:
    """The lessons as pages, with what their cells gave."""
    notebooks = sorted(LESSONS.glob("*.ipynb"))
    if len(notebooks) < 12:
        raise SystemExit(f"{LESSONS}: {len(notebooks)} of 12 lessons have been run. Run make course first.")
    for path in notebooks:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        text = "\n\n".join(part for cell in cells for part in _cell(cell))
        (source / "docs" / "course" / f"{path.stem}.md").write_text(text + "\n", encoding="utf-8")
    names = "\n".join(path.stem for path in notebooks)
    with (source / "docs" / "course" / "index.md").open("a", encoding="utf-8") as file:
        file.write(f"\n```{{toctree}}\n:hidden:\n\n{names}\nteaching\n```\n")


def _cell(cell: dict[str, Any]) -> Iterator[str]:
    """A cell as Markdown."""
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield source
        return
    yield f"```python\n{source}\n```"
    for output in cell["outputs"]:
        data = output.get("data", {})
        if "image/png" in data:
            picture = f"data:image/png;base64,{''.join(data['image/png'])}".replace("\n", "")
            yield _raw(f'<p><img class="output" alt="What the cell above draws" src="{picture}"></p>')
        elif "".join(data.get("text/html", ())).strip():
            yield _raw("".join(data["text/html"]))
        elif output["output_type"] == "stream":
            yield f"```text\n{''.join(output['text']).rstrip()}\n```"
        elif "text/plain" in data and "text/html" not in data:
            yield f"```text\n{''.join(data['text/plain'])}\n```"


def _raw(html: str) -> str:
    return f"`````{{raw}} html\n{html}\n`````"


def write_gallery(source: Path) -> None:
    """The labs' pages, made with --quick, and a page that shows them; and the playground."""
    extra = source / "_extra"
    play = _raw('<p><a href="playground.html">The playground</a>: build, train and watch a network in the browser.</p>')
    lines = ["# Gallery", "", play, ""]
    extra.mkdir(parents=True)
    (extra / "playground.html").write_text(playground_page(list(sets_here())), encoding="utf-8")
    lines += [
        "## Labs",
        "",
        "Guided experiments, here in their small versions: `glyphnet lab NAME` runs them at full size.",
        "",
    ]
    changed = _last_change()
    for name, (_, about) in LABS.items():
        folder = BUILD / "labs" / name
        made = folder / "lab.html"
        if not made.exists() or made.stat().st_mtime < changed:
            print(f"lab {name}", flush=True)
            shutil.rmtree(folder, ignore_errors=True)
            run_lab(name, {"quick": True}, out=folder, command=f"glyphnet lab {name} --quick --out labs/{name}")
        shutil.copytree(folder, extra / "labs" / name)
        page = f"labs/{name}/lab.html"
        figure = "".join(
            f'<img class="only-{colours}" alt="{alt}" src="labs/{name}/{picture.name}">'
            for colours, picture, alt in write_first_figure(extra / "labs" / name)
        )
        lines += [
            f"### {load_lab(name).title}",
            "",
            _raw(
                f'<p>{about[0].upper()}{about[1:]}. <a href="{page}">Open the lab.</a></p><a href="{page}">{figure}</a>'
            ),
            "",
        ]
    (source / "gallery.md").write_text("\n".join(lines), encoding="utf-8")


def write_first_figure(folder: Path) -> Iterator[tuple[str, Path, str]]:
    """Write the first figure of a lab's page, for light and for dark pages: these words, the file, what it shows."""
    page = (folder / "lab.html").read_text(encoding="utf-8")
    dark, light, alt = re.findall(
        r'<source media="\(prefers-color-scheme: dark\)" srcset="data:image/png;base64,([^"]+)">'
        r'<img src="data:image/png;base64,([^"]+)" alt="([^"]*)"',
        page,
    )[0]
    for colours, data in (("light", light), ("dark", dark)):
        picture = folder / f"first-{colours}.png"
        picture.write_bytes(base64.b64decode(data))
        yield colours, picture, alt


def _last_change() -> float:
    """When a file of the code was last changed, in seconds since 1970: a lab's page that is older is made again."""
    sources = (path for path in (ROOT / "src").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return max(path.stat().st_mtime for path in sources)


def write_reference(source: Path) -> None:
    """Every public name with its documentation."""
    lines = ["# Reference", "", "What `import glyphnet` offers.", ""]
    for name in sorted(set(glyphnet.__all__) - {"__version__", "explain"}, key=str.lower):
        kind = "autoclass" if isinstance(getattr(glyphnet, name), type) else "autofunction"
        lines += [f"## {name}", "", "```{eval-rst}", f".. {kind}:: glyphnet.{name}", "```", ""]
    lines += [
        "## glyphnet.explain",
        "",
        "```{eval-rst}",
        ".. automodule:: glyphnet.explain",
        "   :imported-members:",
        "```",
        "",
    ]
    (source / "reference.md").write_text("\n".join(lines), encoding="utf-8")


def write_site(source: Path, out: Path) -> int:
    """Make pages of a folder's Markdown, and add its folder ``_extra``; Sphinx' exit status."""
    from sphinx.cmd.build import build_main  # here: the links of a folder can be checked without Sphinx

    settings = ["-c", str(HERE), "-D", f"html_extra_path={source / '_extra'}", "-d", str(out.parent / "doctrees")]
    return int(build_main(["-q", "-W", "--keep-going", *settings, str(source), str(out)]))


# The links of what was built


class _Links(HTMLParser):
    """The links of a page, and the places in it that a link can lead to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()
        self.loaded: list[str] = []  # from other hosts
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note links, ids, and what the page loads."""
        given = dict(attributes)
        self.places |= {value for value in (given.get("id"), given.get("name")) if value}
        self.links += [value for name in ("href", "src") if (value := given.get(name))]
        loaded = given.get("src") or (given.get("href") if tag == "link" else None)
        if loaded and (urlsplit(loaded).netloc or urlsplit(loaded).scheme in ("http", "https")):
            self.loaded.append(loaded)


def faults(site: Path) -> list[str]:
    """Links in a folder of pages that lead nowhere, and what a page would load from another host."""
    pages = {path.resolve(): _Links(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    wrong = []
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        wrong += [f"{name} loads {link} from another host" for link in page.loaded]
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            anchor = unquote(parts.fragment)
            lost = anchor and target in pages and anchor not in pages[target].places
            if not target.exists() or lost:
                wrong.append(f"{name}: the link {link} leads nowhere")
    return sorted(set(wrong))


def main() -> int:
    """Build the site; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=BUILD / "site")
    out = parser.parse_args().out
    source = BUILD / "site-source"
    for folder in (source, out):
        shutil.rmtree(folder, ignore_errors=True)
    source.mkdir(parents=True)
    write_pages(source)
    write_lessons(source)
    write_gallery(source)
    write_reference(source)
    status = write_site(source, out)
    wrong = faults(out)
    for each in wrong:
        print(each, file=sys.stderr)
    print(f"{out / 'index.html'}: {len(list(out.rglob('*.html')))} pages")
    return int(bool(status or wrong))


if __name__ == "__main__":
    sys.exit(main())
