"""The versions that the dashboard pins are among those that the package says it works with."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
ALLOWED = {
    r.name: r
    for r in map(Requirement, tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
}
PINNED = [
    Requirement(line)
    for line in (ROOT / "requirements.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


@pytest.mark.parametrize("pin", PINNED, ids=str)
def test_a_pinned_version_is_allowed(pin: Requirement) -> None:
    (specifier,) = pin.specifier
    assert specifier.operator == "=="
    assert ALLOWED[pin.name].specifier.contains(specifier.version)


def test_every_dependency_is_pinned() -> None:
    assert {pin.name for pin in PINNED} == set(ALLOWED)
