"""From the name of a source to the source."""

from __future__ import annotations

import re
from pathlib import Path

from lsn_core.data.source import SPLITS, Source
from lsn_core.errors import LsnError


def open_source(spec: str) -> Source:
    """The source that ``spec`` names: ``cldr`` (embedded text), ``hub:NAME``, or a local folder.

    A folder is read as text files, or as parquet files where it holds only those. Raises LsnError with one
    sentence that says what is wrong with the name or with the folder.
    """
    # Imported here so that each kind of source costs only those who use it.
    from lsn_core.data.cldr import CldrSource
    from lsn_core.data.files import FolderSource

    name = spec.strip()
    if not name:
        raise LsnError("The name of the data source is empty; give cldr, hub:NAME or a folder.")
    if name == "cldr":
        return CldrSource()
    if name.startswith("hub:"):
        from lsn_core.data.hub import open_hub

        return open_hub(name.removeprefix("hub:"))
    if _holds_parquet(name):
        from lsn_core.data.parquet import ParquetFolder

        return ParquetFolder(name)
    return FolderSource(name)


def _holds_parquet(name: str) -> bool:
    """Whether ``name`` is a folder with parquet files, and without text files that would be read instead."""
    folder = Path(name)
    try:
        files = [path.name for pattern in ("*.*", "*/*.*", "*/*/*.parquet") for path in folder.glob(pattern)]
    except OSError:
        return False  # the source that tries to read it says why it cannot
    texts = re.compile(rf"(.+\.)?({'|'.join(SPLITS)})\.(txt|conllu|jsonl|tsv)")
    return any(file.endswith(".parquet") for file in files) and not any(map(texts.fullmatch, files))
