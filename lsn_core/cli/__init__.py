"""The command line: `python -m lsn_core VERB …`.

Every verb exits with 0 when it did what was asked, 1 when `verify` found a fault, 2 on bad input with
one sentence on standard error, and 130 when stopped by Ctrl-C. Heavy libraries are imported by the
verbs that need them, so that `--help` and the reading verbs answer at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from lsn_core.cli import core, discover, exchange, inspect, overlap, pretrain, retrieve, transfer
from lsn_core.errors import LsnError


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise LsnError(f"{message[:1].upper()}{message[1:].rstrip('.')}; see '{self.prog} --help'.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        arguments = _parser().parse_args(argv)
        return arguments.run(arguments)
    except LsnError as error:
        print(f"lsn_core: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"lsn_core: {error.filename or 'a file'}: {error.strerror or error}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "\nlsn_core: stopped; what was finished is kept, and the same command goes on from there.",
            file=sys.stderr,
        )
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m lsn_core",
        description="Find the sub-network of each language in a multilingual model, and what they share.",
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True, parser_class=_Parser)
    for module in (discover, transfer, retrieve, overlap, core, exchange, inspect, pretrain):
        module.add_verbs(verbs)
    return parser
