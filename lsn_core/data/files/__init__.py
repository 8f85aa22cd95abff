"""Text and labels from a local folder."""

from lsn_core.data.files.folder import FileCorpus, FolderSource

__all__ = ["FileCorpus", "FolderSource"]
