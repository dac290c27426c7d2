"""A process that opens studios in forks of itself, so that each starts at once and can be killed alone.

It reads folders from standard input, a line each, and answers with the number of the fork, the port and the token.
"""

from __future__ import annotations

import json
import os
import sys
from functools import partial

from glyphnet.pages.studio import studio_page
from glyphnet.serving import listen
from glyphnet.studio import Folder, StudioServer
from glyphnet.studio.known import known_sets


def main() -> None:
    studio_page("server"), known_sets()  # what every fork would make for itself
    for line in sys.stdin:
        if os.fork() == 0:
            server = StudioServer(Folder(line.strip()), listen("127.0.0.1", 0))
            told = json.dumps({"pid": os.getpid(), "port": server.port, "token": server.token})
            server.run(partial(print, told, flush=True))
            os._exit(0)
        os.wait()


if __name__ == "__main__":
    main()
