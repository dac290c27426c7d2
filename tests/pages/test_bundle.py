"""Modules in, one script out; what the bundler does not know is refused with the name of the file."""

from __future__ import annotations

import re
from typing import Any

import pytest

from glyphnet.labs.live_parts import LAB_DATA
from glyphnet.pages import bundle as bundler

from ..javascript import PACKAGE, run_node

PAGES = (
    "pages/js/drawing.js",
    *(f"pages/js/labs/{name.replace('-', '_')}.js" for name in LAB_DATA),
    "pages/js/labs/worker.js",
    "pages/js/playground/main.js",
    "pages/js/playground/worker.js",
    "pages/js/studio/learner.js",
    "pages/js/studio/page_main.js",
    "pages/js/studio/server_main.js",
    "report/js/main.js",
    "serving/ask.js",
)


@pytest.fixture
def bundled(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Bundle modules that are given as text by path; the first is the entry."""

    def made(modules: dict[str, str]) -> str:
        def read(path: str) -> str:
            if path not in modules:
                raise FileNotFoundError(path)
            return modules[path]

        monkeypatch.setattr(bundler, "read", read)
        return bundler.bundle.__wrapped__(next(iter(modules)))

    return made


def run(script: str) -> str:
    made = run_node("--eval", script)
    assert made.returncode == 0, made.stderr
    return made.stdout


def test_modules_see_what_they_import_and_nothing_else(bundled: Any) -> None:
    script = bundled(
        {
            "a/main.js": 'import { two as twice } from "./two.js";\nimport { one } from "../b/one.js";\n'
            "const secret = 3;\nconsole.log(one(), twice, secret, typeof hidden);\n",
            "a/two.js": 'import { one } from "../b/one.js";\nconst secret = 1;\nexport const two = one() + secret;\n',
            "b/one.js": 'console.log("once");\nconst hidden = 1;\nexport function one() {\n  return hidden;\n}\n',
        }
    )
    assert run(script) == "once\n1 2 3 undefined\n"


@pytest.mark.parametrize("kind", ["async function f() {}", "class f {}", "const f = 1;"])
def test_all_kinds_of_export(bundled: Any, kind: str) -> None:
    script = bundled({"a.js": 'import { f } from "./b.js";\nconsole.log(typeof f);\n', "b.js": f"export {kind}\n"})
    assert run(script).strip() in ("function", "number")


@pytest.mark.parametrize(
    ("modules", "words"),
    [
        (
            {"a.js": 'import { b } from "./b.js";\nexport const a = 1;\n', "b.js": 'import { a } from "./a.js";\n'},
            "a.js → b.js → a.js",
        ),
        ({"a.js": 'import { b } from "./b.js";\n', "b.js": "const b = 1;\n"}, "a.js imports 'b', which b.js does not"),
        ({"a.js": 'import { b } from "./b.js";\n'}, "a.js imports b.js, which does not exist"),
        ({"a.js": 'import { b } from "../b.js";\n'}, "a.js imports '../b.js'"),
        ({"a.js": 'import { b } from "react";\n'}, "a.js imports 'react'"),
        ({"a.js": 'import * as b from "./b.js";\n'}, "a.js: .*import \\* as b"),
        ({"a.js": "export default 1;\n"}, "a.js: .*export default"),
        ({"a.js": "export let a = 1;\n"}, "a.js: .*export let"),
        ({"a.js": 'import { b-c } from "./b.js";\n'}, "a.js: 'b-c'"),
    ],
)
def test_what_the_bundler_does_not_know_is_refused(bundled: Any, modules: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        bundled(modules)


@pytest.mark.parametrize("entry", PAGES)
def test_the_scripts_of_the_pages_are_valid(entry: str) -> None:
    made = run_node("--check", "-", input=bundler.bundle(entry))
    assert made.returncode == 0, made.stderr


def test_every_module_belongs_to_a_page() -> None:
    held = {
        path for entry in PAGES for path in re.findall(r"^const module\d+ = .* // (\S+)$", bundler.bundle(entry), re.M)
    }
    assert held == {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.js")}
