"""mutate-index.py N SEED DATA INDEX COMMAND...: makes N random changes of INDEX and runs the command with each of them.

Each run must end with exit status 0 or 1, within limits of time and memory. Prints a line of counts, and a line for
each run that crashed, hung or was stopped by a sanitizer. The index is restored.
"""

import gzip
import os
import random
import resource
import struct
import subprocess
import sys

SECONDS = 60
BYTES = 2 << 30
EXTREMES = (0, 1, 2, 3, 5, 37449, 37450, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
NUMBERS = (b"-1", b"-2", b"-3", b"0", b"1", b"99", b"2147483647", b"2147483648", b"99999999999999999999", b"x", b"")


def flip(r, data):
    for _ in range(r.choice((1, 1, 2, 8))):
        data[r.randrange(len(data))] ^= 1 << r.randrange(8)


def cut(r, data):
    del data[r.randrange(len(data)):]


def put(r, data):
    form, top = r.choice((("<I", 32), ("<I", 32), ("<Q", 64)))
    value = r.choice(EXTREMES + (r.getrandbits(top), r.getrandbits(20)))
    at = r.randrange(max(1, len(data) - 8))
    at -= at % r.choice((1, 4))
    data[at:at + top // 8] = struct.pack(form, value << r.choice((0, top - 32)) & (1 << top) - 1)


def remove(r, data):
    at = r.randrange(len(data))
    del data[at:at + r.choice((1, 4, 8, 16, 100))]


def repeat(r, data):
    at, n = r.randrange(len(data)), r.choice((1, 4, 8, 16, 100))
    data[at:at] = data[at:at + n]


def swap(r, data):
    n = r.choice((4, 8, 16))
    a, b = r.randrange(len(data)), r.randrange(len(data))
    data[a:a + n], data[b:b + n] = data[b:b + n], data[a:a + n]


def number(r, data):
    """Replaces a number in a text."""
    fields = bytes(data).replace(b"\n", b"\t\n\t").split(b"\t")
    fields[r.randrange(len(fields))] = r.choice(NUMBERS)
    data[:] = b"\t".join(fields).replace(b"\t\n\t", b"\n")


def damaged(r, original):
    """Returns a damaged index. In one case of eight the compressed bytes are damaged, else the content."""
    packed = original[:2] == b"\x1f\x8b" and r.randrange(8) > 0
    data = bytearray(gzip.decompress(original) if packed else original)
    ways = [flip, flip, cut, put, put, put, remove, repeat, swap]
    if not packed or b"\0" not in data:
        ways += [number] * 4
    for _ in range(r.choice((1, 1, 1, 2, 4))):
        if data:
            r.choice(ways)(r, data)
    return gzip.compress(bytes(data), mtime=0) if packed else bytes(data)


def limited():
    if "SANITIZED" not in os.environ:  # a sanitizer needs terabytes of address space
        resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(command):
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              timeout=SECONDS, preexec_fn=limited)
    except subprocess.TimeoutExpired:
        return "hung", b""
    said = done.stderr
    if done.returncode not in (0, 1) or b"Sanitizer" in said or b"runtime error" in said:
        return "died", said
    if done.returncode == 1 and (said.count(b"\n") == 0 or b"caduceus" not in said):
        return "silent", said
    return ("good", "refused")[done.returncode], said


def main():
    count, seed, index, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[4], sys.argv[5:]
    with open(index, "rb") as f:
        original = f.read()
    if run(command)[0] != "good":
        sys.exit(f"# {index}: the command fails with the sound index")
    ends = dict.fromkeys(("good", "refused", "died", "hung", "silent"), 0)
    for k in range(count):
        with open(index, "wb") as f:
            f.write(damaged(random.Random(seed * 1000003 + k), original))
        end, said = run(command)
        ends[end] += 1
        if end in ("died", "hung", "silent"):
            print(f"# {index}: seed {seed}, mutation {k}: {end}: {said[-300:]!r}")
            keep = os.environ.get("KEEP_MUTATIONS")
            if keep:
                os.replace(index, f"{keep}/{os.path.basename(index)}.{seed}.{k}")
    with open(index, "wb") as f:
        f.write(original)
    print(os.path.basename(index), *(f"{n} {end}" for end, n in ends.items()))
    sys.exit(ends["died"] + ends["hung"] + ends["silent"] > 0)


main()
