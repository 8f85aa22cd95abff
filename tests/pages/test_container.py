"""The container runs as nobody special, writes nothing, and says whether it is well."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINES = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()


def arguments(instruction: str) -> list[str]:
    """What stands after an instruction, for each time that it is there."""
    return [line.split(maxsplit=1)[1] for line in LINES if line.startswith(f"{instruction} ")]


def test_it_runs_as_a_user_of_its_own_and_read_only() -> None:
    assert arguments("USER") == ["dashboard"]
    assert LINES.index("USER dashboard") < next(k for k, line in enumerate(LINES) if line.startswith("CMD"))
    assert "LSN_READ_ONLY=1" in arguments("ENV")[0].split()
    assert "/_stcore/health" in arguments("HEALTHCHECK")[0]


def test_all_that_it_copies_is_here_and_reaches_it() -> None:
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for copied in arguments("COPY"):
        source = copied.split()[0]
        assert (ROOT / source).exists()
        assert f"!{source}" in ignore


def test_what_it_leaves_out_of_the_requirements_is_in_them() -> None:
    requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    (pattern,) = re.findall(r"grep -Ev '\^\(([a-z|]+)\)=='", "\n".join(LINES))
    for package in pattern.split("|"):
        assert re.search(rf"^{package}==", requirements, re.MULTILINE)
