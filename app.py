"""The dashboard: `streamlit run app.py`."""

from pathlib import Path

from lsn_core.ui import shell

shell.run(Path(__file__).parent / "masks")
