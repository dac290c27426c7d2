"""``python -m glyphnet``: the same as ``glyphnet``."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    # Ctrl-C while modules load: no traceback. `VerbGroup.invoke` sets it back.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from .cli import main

if __name__ == "__main__":
    main()
