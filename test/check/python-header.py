"""python-header.py: prints the path of Python.h of this Python, whether or not it exists."""

import os
import sysconfig

print(os.path.join(sysconfig.get_path("include"), "Python.h"))
