"""`python -m cyclegan_tf` is the command `cyclegan`."""

import sys

from cyclegan_tf.cli.main import main

sys.exit(main())
