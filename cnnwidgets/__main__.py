"""`python -m cnnwidgets`."""

import sys

from cnnwidgets.command_line import main

sys.exit(main())
