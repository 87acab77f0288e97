"""`python3 tools/judge`: see judge_cli.py."""

import sys

from judge_cli import main

sys.exit(main())
