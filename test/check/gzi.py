"""gzi.py FASTA.gz FASTA.gz.gzi: writes the .gzi of a BGZF file. Reads the headers of all blocks, but does not inflate
them."""

import struct
import sys

with open(sys.argv[1], "rb") as f:
    data = f.read()
at = total = 0
entries = []
while at < len(data):
    size = struct.unpack_from("<H", data, at + 16)[0] + 1
    held = struct.unpack_from("<I", data, at + size - 4)[0]
    if at and held:
        entries.append((at, total))
    at, total = at + size, total + held
with open(sys.argv[2], "wb") as f:
    f.write(struct.pack("<Q", len(entries)))
    for pair in entries:
        f.write(struct.pack("<QQ", *pair))
