"""`python -m cnnwidgets`."""

import sys

from cnnwidgets.atlas.command import main

sys.exit(main())
