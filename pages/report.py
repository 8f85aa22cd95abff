"""Report: the figures that were pinned, in order and with captions, as one file to save and send."""

# ruff: noqa: E402 - `heading` comes before the imports that take long: on a fresh server it starts the run again.

from lsn_core.ui import shell

frame = shell.heading()

from lsn_core.ui import pins
from lsn_core.ui.views import report_view

board = pins.board()
if not board.pins:
    report_view.empty(frame)
else:
    report_view.head(board)
    for place in range(len(board.pins)):
        report_view.exhibit(board, place)
