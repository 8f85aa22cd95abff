"""`python -m lsn_core`."""

import sys

from lsn_core.cli import main

sys.exit(main())
