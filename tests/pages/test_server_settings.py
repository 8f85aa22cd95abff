"""The server keeps to this computer and tells nobody anything."""

from __future__ import annotations

import tomllib
from pathlib import Path

SETTINGS = tomllib.loads(
    (Path(__file__).parents[2] / ".streamlit" / "config.toml").read_text(encoding="utf-8")
)


def test_defaults_that_were_changed() -> None:
    server, client = SETTINGS["server"], SETTINGS["client"]
    assert server["address"] == "127.0.0.1"
    assert server["enableXsrfProtection"] is True
    assert server["maxUploadSize"] <= 64
    assert SETTINGS["browser"]["gatherUsageStats"] is False
    assert client["showErrorDetails"] == "type"


def test_both_themes_use_fonts_that_are_there() -> None:
    theme = SETTINGS["theme"]
    assert theme["light"]["backgroundColor"] != theme["dark"]["backgroundColor"]
    for name in ("font", "headingFont", "codeFont"):
        assert "http" not in theme[name]
    assert "fontFaces" not in theme
