"""Data sets of the hub by name: ``hub:wikipedia``, ``hub:wikiann``, ``hub:xnli``, or ``hub:OWNER/NAME``.

They are fetched with ``huggingface_hub`` and read with ``pyarrow``, both of which are needed anyway: the files are
plain parquet, so the library ``datasets`` would add its own cache of converted copies and nothing that is used here.
Files lie in the hub's cache (``HF_HOME``) and are fetched once; where the hub cannot be reached, or ``HF_HUB_OFFLINE``
is set, what the cache holds is used.

``@REVISION`` after a name pins a branch, a tag or a commit: ``hub:xnli@b8dd5d7``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import huggingface_hub
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    IncompleteSnapshotError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from lsn_core.data.parquet import ANY_CONFIGURATION, LAYOUTS, Layout, ParquetSource
from lsn_core.errors import LsnError

TIMEOUT = 15.0
"""Seconds to wait for the hub's first answer."""

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class HubDataset:
    """A data set that is known by name.

    ``configurations`` is a regular expression with a group ``language``; ``languages`` are all that it has, where
    that is certain enough to be said without asking the hub.
    """

    repository: str
    layout: Layout
    configurations: str
    languages: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if "language" not in re.compile(self.configurations).groupindex:
            raise LsnError(f"The configurations of {self.repository} must have a group for the language.")


def _layout(kind: str) -> Layout:
    return next(layout for layout in LAYOUTS if layout.kind == kind)


HUB_DATASETS: Mapping[str, HubDataset] = MappingProxyType(
    {
        "wikipedia": HubDataset(
            "wikimedia/wikipedia", _layout("text"), r"\d{8}\.(?P<language>[a-z]+(?:-[a-z]+)*)"
        ),
        "wikiann": HubDataset("unimelb-nlp/wikiann", _layout("ner"), r"(?P<language>[a-z]+(?:-[a-z]+)*)"),
        "xnli": HubDataset(
            "facebook/xnli",
            _layout("nli"),
            r"(?P<language>[a-z]{2})",
            ("ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh"),
        ),
    }
)
"""The data sets of Foroutan et al. (EMNLP 2022) as the hub serves them, from the cards and commits of each:

* ``wikimedia/wikipedia``: a configuration a dump and language (``20231101.en``), one split ``train`` in files like
  ``20231101.en/train-00000-of-00041.parquet`` (41 files of 0.2 to 0.4 GB for English); columns ``id``, ``url``,
  ``title``, ``text``, all strings, a row an article with its paragraphs between line ends.
* ``unimelb-nlp/wikiann`` (Pan et al. 2017, splits of Rahimi et al. 2019): a configuration a language (176 of them,
  ``fa`` among them), files like ``en/validation-00000-of-00001.parquet`` for ``train``, ``validation``, ``test``;
  columns ``tokens``, ``ner_tags`` (0 to 6: O, B-PER, I-PER, B-ORG, I-ORG, B-LOC, I-LOC), ``langs``, ``spans``.
* ``facebook/xnli`` (Conneau et al. 2018): a configuration each of fifteen languages (no Farsi) and one of all of
  them with other columns, which is not read; files like ``ar/train-00000-of-00001.parquet`` for ``train`` (392,702
  rows), ``validation`` (2,490), ``test`` (5,010); columns ``premise``, ``hypothesis``, ``label`` (0 entailment,
  1 neutral, 2 contradiction).
"""

_NAMED = {dataset.repository.lower(): name for name, dataset in HUB_DATASETS.items()}
_REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)


class HubStore:
    """The parquet files of one data set repository at one commit, fetched when they are read."""

    def __init__(self, repository: str, revision: str | None = None) -> None:
        self.repository = repository
        self.revision = revision
        self.title = f"The data set {repository} of the hub"
        self._listing: tuple[str, tuple[str, ...]] | None = None
        self._paths: dict[str, Path] = {}

    @property
    def commit(self) -> str:
        """The commit's full hash; LsnError when it cannot be found out."""
        return self._look()[0]

    def files(self) -> tuple[str, ...]:
        """The files of the commit, or those of it that the cache holds where the hub cannot be reached."""
        return self._look()[1]

    def path(self, file: str) -> Path:
        if file not in self._paths:
            self._paths[file] = Path(self._fetch(file))
        return self._paths[file]

    def stamp(self, configuration: str, files: Iterable[str]) -> Iterator[bytes]:
        """The repository, its commit and the configuration, which say all: no file need be there for it."""
        yield f"{self.repository} {self.commit} {configuration}\n".encode()

    def _look(self) -> tuple[str, tuple[str, ...]]:
        if self._listing is None:
            self._listing = self._ask(self._from_hub, self._from_cache)
        return self._listing

    def _from_hub(self) -> tuple[str, tuple[str, ...]]:
        api = huggingface_hub.HfApi()
        info = api.dataset_info(self.repository, revision=self.revision, timeout=TIMEOUT)
        if not info.sha:
            raise LsnError(f"{self.title} has no commit to read; give another @REVISION.")
        # Notes in the cache which commit the revision stands for, so that it is found there without the hub.
        api.resolve_revision(self.repository, repo_type="dataset", revision=self.revision)
        return info.sha, _parquet(sibling.rfilename for sibling in info.siblings or ())

    def _from_cache(self) -> tuple[str, tuple[str, ...]]:
        """As :meth:`_from_hub`; LocalEntryNotFoundError when the cache does not hold the revision."""
        try:
            folder = huggingface_hub.snapshot_download(
                self.repository, repo_type="dataset", revision=self.revision, local_files_only=True
            )
        except IncompleteSnapshotError as error:
            # A part of the repository is what is expected here.
            folder = str(error.snapshot_path)
        root = Path(folder)
        return root.name, _parquet(
            path.relative_to(root).as_posix() for path in sorted(root.rglob("*.parquet"))
        )

    def _fetch(self, file: str) -> str:
        # By the commit: all files are of one, whatever happens on the hub, and one that is there needs no request.
        return self._ask(
            lambda: huggingface_hub.hf_hub_download(
                self.repository, file, repo_type="dataset", revision=self.commit
            )
        )

    def _ask(self, hub: Callable[[], _Result], otherwise: Callable[[], _Result] | None = None) -> _Result:
        """What ``hub`` says, or ``otherwise`` where the hub cannot be reached; LsnError in one sentence."""
        try:
            return hub()
        except LsnError:
            raise
        except GatedRepoError as error:
            raise LsnError(
                f"{self.title} must be asked for: accept its terms on its page and log in with 'hf auth login'."
            ) from error
        except RepositoryNotFoundError as error:
            raise LsnError(
                f"{self.title} does not exist, or needs a login; the names known here are {_names()}."
            ) from error
        except RevisionNotFoundError as error:
            raise LsnError(
                f"{self.title} has no revision {self.revision!r}; give a branch, a tag or a commit after the @."
            ) from error
        except HFValidationError as error:
            raise LsnError(
                f"{self.repository!r} is not the name of a data set; it is written OWNER/NAME."
            ) from error
        except Exception as error:  # the hub's client raises many kinds for a network that does not work
            try:
                if otherwise is not None:
                    return otherwise()
            except LocalEntryNotFoundError:
                pass  # said below, with what the hub's client had to say
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise LsnError(
                f"{self.title} could not be fetched, and the cache does not hold it; check the network, or give a "
                f"local folder with its parquet files ({reason.rstrip('.')})."
            ) from error


def open_hub(spec: str) -> ParquetSource:
    """The data set that ``spec`` (what follows ``hub:``) names; nothing is fetched yet.

    Raises LsnError when it cannot be the name of a data set.
    """
    name, at, revision = spec.strip().partition("@")
    name = _NAMED.get(name.lower(), name)
    if name.lower() in HUB_DATASETS:
        name = name.lower()
    if at and not revision:
        raise LsnError(f"The revision after the @ of hub:{spec} is empty; give a branch, a tag or a commit.")
    title = f"hub:{name}{at}{revision}"
    if name in HUB_DATASETS:
        known = HUB_DATASETS[name]
        return ParquetSource(
            title,
            HubStore(known.repository, revision or None),
            (known.layout,),
            known.configurations,
            known.languages,
        )
    if not _REPOSITORY.fullmatch(name):
        raise LsnError(
            f"There is no data set {name!r} on the list; give one of {_names()}, or OWNER/NAME of another one on the "
            "hub that has the same layout."
        )
    return ParquetSource(title, HubStore(name, revision or None), configurations=ANY_CONFIGURATION)


def _parquet(files: Iterable[str]) -> tuple[str, ...]:
    return tuple(file for file in files if file.endswith(".parquet"))


def _names() -> str:
    return ", ".join(f"hub:{name}" for name in sorted(HUB_DATASETS))
