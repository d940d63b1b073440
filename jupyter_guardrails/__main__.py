"""`python -m jupyter_guardrails` is `jupyter guardrails`."""

import sys

from jupyter_guardrails.cli.main import main

sys.exit(main())
