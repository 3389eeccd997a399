"""python-needs.py MODULE...: prints the Debian packages that this Python lacks of those of the modules, and python3-dev
if it lacks Python.h. Prints nothing if all are there."""

import importlib.util
import os
import sys
import sysconfig

missing = ["python3-" + name for name in sys.argv[1:] if importlib.util.find_spec(name) is None]
if not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")):
    missing.append("python3-dev")
print(*missing)
