"""Serve both APIs until told to stop: ``python -m demo.simulators``."""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from demo.population import Nasty, Population
from demo.simulators import Faults, Simulator, SystemeioOptions, XenditOptions


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; ends with 0 on SIGTERM or SIGINT, with 1 when a port is taken."""
    parser = argparse.ArgumentParser(prog="python -m demo.simulators", description=__doc__)
    parser.add_argument("--xendit-port", type=int, default=8101)
    parser.add_argument("--systemeio-port", type=int, default=8102)
    parser.add_argument("--scale", type=int, default=1, help="so many times the real account's size")
    parser.add_argument("--seed", type=int, default=Population.seed)
    parser.add_argument("--latency", type=float, default=0, metavar="MS", help="delay of every answer")
    parser.add_argument("--faults", type=float, default=0, metavar="RATE", help="share of requests that fail, 0 to 1")
    parser.add_argument("--rate-limit", type=int, metavar="N", help="requests a minute; none by default")
    parser.add_argument(
        "--nasty", type=int, default=0, metavar="N", help="so many rows of each kind that nobody expects"
    )
    chosen = parser.parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    simulator = Simulator(
        Population(scale=chosen.scale, seed=chosen.seed, nasty=Nasty.everything(chosen.nasty)),
        xendit=XenditOptions(rate_limit=chosen.rate_limit),
        systemeio=SystemeioOptions(rate_limit=chosen.rate_limit),
        faults=Faults(rate=chosen.faults),
        latency=chosen.latency / 1000,
        xendit_port=chosen.xendit_port,
        systemeio_port=chosen.systemeio_port,
    )
    try:
        simulator.start()
    except OSError as error:
        print(f"cannot listen: {error.strerror}; choose other ports", file=sys.stderr)
        return 1
    print(f"xendit {simulator.xendit_url}\nsystemeio {simulator.systemeio_url}\nready", flush=True)
    stop.wait()
    simulator.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
