"""The studio's page: from pictures to a model in the browser, with a server behind it or on the page's own engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeAlias, get_args

from .._version import __version__
from ..answers import REASONS
from ..templates import environment, read
from .bundle import bundle, hash_of, script_json
from .desk import STYLES as DRAWING_STYLES
from .playground import ImageSet

Engine: TypeAlias = Literal["server", "page"]
Language: TypeAlias = Literal["en", "de"]

_STYLES = ("pages/house.css", "pages/charts.css", "pages/studio.css")
_LICENCES = "pages/js/vendor/LICENSES.txt"


def studio_page(engine: Engine, sets: Iterable[ImageSet] = (), language: Language = "en") -> str:
    """The page as text, one file.

    Args:
        engine: "server", the page of `glyphnet studio`, which asks the address that it came from; or "page", a file
            that computes by itself, works offline and asks the network for nothing.
        sets: known images that a page of its own engine carries; a server offers its own.
        language: of the text before the scripts run; they then take ``?lang=``, the user's choice or the browser's.

    Raises:
        ValueError: another engine or language.
    """
    if engine not in get_args(Engine):
        raise ValueError(f"engine={engine!r}: choose one of {', '.join(get_args(Engine))}")
    if language not in get_args(Language):
        raise ValueError(f"language={language!r}: choose one of {', '.join(get_args(Language))}")
    own = engine == "page"
    values: dict[str, Any] = {"sets": "", "skeleton": "", "worker": ""}
    if own:
        values = {
            "sets": script_json([each.to_page() for each in sets]),
            "skeleton": script_json(_skeleton()),
            "worker": bundle("pages/js/studio/learner.js"),
        }
    return environment("pages").get_template("studio.html").render(
        own=own, language=language, style="\n".join(map(read, _STYLES)), licences=read(_LICENCES),
        script=bundle(f"pages/js/studio/{engine}_main.js"), hash_of=hash_of, version=__version__, **values,
    )  # fmt: skip


def _skeleton() -> dict[str, Any]:
    """The drawing page without a model, for drawings and for photographs, as ``pages/js/studio/give.js`` fills it.

    The script and the style stand once beside both, and places for the rest are marked with ``@@``.
    """
    style, script = "\n".join(map(read, DRAWING_STYLES)), bundle("pages/js/drawing.js")
    template = environment("pages").get_template("drawing.html")
    pages = {}
    for kind in ("ink", "photo"):
        text = template.render(
            subject="@@NAME@@", card="@@CARD@@", ink=kind == "ink", model="@@MODEL@@", weights="@@WEIGHTS@@",
            style=style, script=script, hash_of=hash_of, version=__version__, served=False,
        )  # fmt: skip
        pages[kind] = text.replace(script, "@@SCRIPT@@").replace(style, "@@STYLE@@")
    return {"pages": pages, "script": script, "style": style, "reasons": REASONS, "version": __version__}
