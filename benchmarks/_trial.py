"""One peer at one work, in a process of its own: started by peers.py, which it answers turn by turn."""

from __future__ import annotations

import argparse
import importlib

from _peers import PEERS
from _turns import Turns, versions
from _works import WORKS, read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("work", choices=WORKS)
    parser.add_argument("--turns", type=int, required=True)
    parser.add_argument("--images", type=int)
    arguments = parser.parse_args()
    peer, work = PEERS[arguments.peer], WORKS[arguments.work].shortened(arguments.images)
    turns = Turns(work.epochs)
    train = importlib.import_module(f"_peers.{peer.module}").train
    data = read(work)
    turns.tell(versions=versions(peer.packages))
    labels, note = train(work, data, turns, arguments.turns)
    turns.tell(accuracy=float((labels == data.test_labels).mean()), tested=len(labels), note=note)


if __name__ == "__main__":
    main()
