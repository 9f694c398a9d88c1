"""``python -m cutover.commands``, where there is no console script: in the image."""

import sys

from cutover.commands import main

sys.exit(main())
