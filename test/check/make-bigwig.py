"""make-bigwig.py FAI FORM VALUES OUT: writes a bigWig of the intervals (contig, begin, end, value; sorted) in VALUES.

FORM: 1 (bedGraph blocks), 2 (variable step), 3 (fixed step), or 0 (bedGraph blocks that are not compressed). All
intervals of form 2 or 3 have one length. FAI holds lines "contig length"."""

import struct, sys, zlib

fai, form, values, out = sys.argv[1:]
contigs = [(f[0].encode(), int(f[1])) for f in map(str.split, open(fai))]
number = {c: i for i, (c, _) in enumerate(contigs)}
form, packed = int(form) or 1, form != "0"
key = max(len(c) for c, _ in contigs)


def runs():
    """Yields (contig, intervals): at most 50 intervals of one block."""
    last, block = None, []
    for line in open(values):
        c, b, e, v = line.split()
        item = int(b), int(e), float(v)
        broken = form == 3 and block and item[0] != block[-1][1]
        if block and (c != last or len(block) == 50 or broken):
            yield last, block
            block = []
        last = c
        block.append(item)
    if block:
        yield last, block


tree = struct.pack("<IIIIQQ", 0x78CA8C91, len(contigs), key, 8, len(contigs), 0)
tree += struct.pack("<BBH", 1, 0, len(contigs))
for i, (c, n) in enumerate(contigs):
    tree += c.ljust(key, b"\0") + struct.pack("<II", i, n)
data = 64 + len(tree)
body, entries, largest = b"", [], 0
for c, block in runs():
    i, span = number[c.encode()], block[0][1] - block[0][0]
    raw = struct.pack("<IIIIIBBH", i, block[0][0], block[-1][1], span, span, form, 0, len(block))
    for b, e, v in block:
        raw += {1: struct.pack("<IIf", b, e, v), 2: struct.pack("<If", b, v), 3: struct.pack("<f", v)}[form]
    largest = max(largest, len(raw))
    zipped = zlib.compress(raw) if packed else raw
    entries.append((i, block[0][0], i, block[-1][1], data + 8 + len(body), len(zipped)))
    body += zipped
index = data + 8 + len(body)
nodes = struct.pack("<IIQIIIIQII", 0x2468ACE0, 256, len(entries), 0, 0, 0, 0, index, 50, 0)
nodes += struct.pack("<BBH", 1, 0, len(entries)) + b"".join(struct.pack("<IIIIQQ", *e) for e in entries)
with open(out, "wb") as f:
    f.write(struct.pack("<IHHQQQHHQQIQ", 0x888FFC26, 4, 0, 64, data, index, 0, 0, 0, 0, largest if packed else 0, 0))
    f.write(tree + struct.pack("<Q", len(entries)) + body + nodes)
