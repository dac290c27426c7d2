"""Makes train.svg, the picture in docs/guide.md, of a real run: what a terminal shows of ``glyphnet train``.

Run it when that output has changed: ``.venv/bin/python docs/picture.py``. No test compares it,
for no two runs take the same time.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

COMMAND = ["glyphnet", "train", "digits", "--out", "runs/demo"]
SAME_EVERYWHERE = "glyphnet"  # in place of an id that rich would draw anew


def main() -> None:
    """Train, and draw what was said."""
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(
            [sys.executable, "-m", *COMMAND],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
        )
    console = Console(record=True, width=108, file=io.StringIO(), force_terminal=True)
    console.print(Text("$ " + " ".join(COMMAND), style="bold"))
    console.print(Text(run.stdout.rstrip()))
    svg = console.export_svg(title="glyphnet train", unique_id=SAME_EVERYWHERE)
    # The reader's own monospace font will do: the picture loads nothing from anywhere.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    (Path(__file__).parent / "train.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
