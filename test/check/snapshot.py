"""snapshot.py: finds a snapshot in the hub's cache by the rules of huggingface_hub, and checks it.

snapshot.py ORG/NAME [REVISION]  prints the folder that snapshot_download(local_files_only=True) would return

The rules of huggingface_hub 0.23 to 2.4: the cache is $HF_HUB_CACHE, else $HUGGINGFACE_HUB_CACHE, else $HF_HOME/hub,
else $XDG_CACHE_HOME/huggingface/hub, else ~/.cache/huggingface/hub. ~ and variables are expanded. (Empty variables
count as not set, which differs from huggingface_hub.) A revision of 40 hexadecimal digits is a commit. Any other
revision is the name of a file in refs/, whose text is the commit. The folder snapshots/COMMIT is returned if it exists.
If a listing trees/COMMIT.json exists, every file in it must exist too. This program also checks that each file is a
link to ../../blobs/HASH, with the SHA-256 or git hash of the file, and that there are no partial files.
"""

import hashlib
import json
import os
import re
import sys


def variable(name, default):
    return os.environ.get(name) or default


def cache():
    cache_home = variable("XDG_CACHE_HOME", os.path.join(os.path.expanduser("~"), ".cache"))
    home = os.path.expandvars(os.path.expanduser(variable("HF_HOME", os.path.join(cache_home, "huggingface"))))
    legacy = variable("HUGGINGFACE_HUB_CACHE", os.path.join(home, "hub"))
    return os.path.expandvars(os.path.expanduser(variable("HF_HUB_CACHE", legacy)))


def find(storage, revision):
    commit = revision if re.fullmatch("[0-9a-f]{40}", revision) else None
    ref = os.path.join(storage, "refs", revision)
    if commit is None and os.path.exists(ref):
        with open(ref) as f:
            commit = f.read()
    folder = os.path.join(storage, "snapshots", commit) if commit else None
    if not folder or not os.path.exists(folder):
        sys.exit(f"{storage}: no snapshot of {revision}")
    tree = os.path.join(storage, "trees", f"{commit}.json")
    if os.path.exists(tree):
        with open(tree, encoding="utf-8") as f:
            missing = [name for name in json.load(f)["files"] if not os.path.exists(os.path.join(folder, name))]
        if missing:
            sys.exit(f"{folder}: lacks {missing}")
    return folder


def check_file(storage, path):
    target = os.readlink(path)
    name = os.path.basename(target)
    if target != os.path.relpath(os.path.join(storage, "blobs", name), os.path.dirname(path)):
        sys.exit(f"{path}: links to {target}")
    with open(path, "rb") as f:
        data = f.read()
    git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    if name not in (git, hashlib.sha256(data).hexdigest()):
        sys.exit(f"{path}: its bytes are not those of its name")
    if os.path.realpath(path) != os.path.realpath(os.path.join(storage, "blobs", name)):
        sys.exit(f"{path}: leads elsewhere")


def main(repo, revision="main"):
    storage = os.path.join(cache(), "--".join(["models", *repo.split("/")]))
    folder = find(storage, revision)
    paths = [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names]
    for path in paths:
        check_file(storage, path)
    if not paths:
        sys.exit(f"{folder}: is empty")
    print(os.path.abspath(folder))


main(*sys.argv[1:])
