"""snapshot.py NAME [local]: prints the folder to which huggingface_hub downloads a model; with local, the
one in its cache. SPDX-License-Identifier: MIT"""

import sys

import huggingface_hub

print(huggingface_hub.snapshot_download(sys.argv[1], local_files_only=len(sys.argv) > 2))
