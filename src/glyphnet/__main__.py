"""``python -m glyphnet``: the same as ``glyphnet``."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while modules load: no traceback; `VerbGroup.invoke` sets it back

from .cli import main

if __name__ == "__main__":
    main()
