"""hub.py: runs huggingface_hub, for comparison with caduceus model pull.

hub.py get ORG/NAME [REVISION]   downloads the snapshot from $HF_ENDPOINT and prints its folder
hub.py find ORG/NAME [REVISION]  prints the folder of the snapshot that the cache holds, and checks that the library's
                                 own survey of the cache has nothing to say against it
"""

import sys

from huggingface_hub import scan_cache_dir, snapshot_download


def main(action, repo, revision="main"):
    print(snapshot_download(repo, revision=revision, local_files_only=action == "find"))
    warnings = scan_cache_dir().warnings
    if warnings:
        sys.exit(f"the cache: {warnings}")


main(*sys.argv[1:])
