"""picture.py size PNG: prints width and height. picture.py mutations PNG NPY: compares the colours of the cells with
the values. picture.py dependence PNG NPY: the same for a map. picture.py xml SVG: reads an SVG. Needs no module but
zlib, since few machines have more to read a PNG with."""

import struct
import sys
import xml.etree.ElementTree as xml
import zlib


def size_of(path):
    return struct.unpack(">II", open(path, "rb").read(24)[16:])


def read_png(path):
    """Returns rows of (red, green, blue)."""
    data, at, body = open(path, "rb").read(), 8, b""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        chunk = data[at + 8 : at + 8 + size]
        assert zlib.crc32(kind + chunk) == struct.unpack(">I", data[at + 8 + size : at + 12 + size])[0]
        if kind == b"IHDR":
            width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunk)
            assert (depth, colour, interlaced) == (8, 2, 0)
        body += chunk if kind == b"IDAT" else b""
        at += 12 + size
    raw, rows, before = zlib.decompress(body), [], bytes(3 * width)
    for y in range(height):
        line = raw[y * (3 * width + 1) : (y + 1) * (3 * width + 1)]
        before = unfilter(line[0], line[1:], before)
        rows.append([tuple(before[3 * x : 3 * x + 3]) for x in range(width)])
    return rows


def unfilter(kind, line, before):
    out = bytearray()
    for i, byte in enumerate(line):
        a, b, c = (out[i - 3], before[i], before[i - 3]) if i > 2 else (0, before[i], 0)
        p = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
        out.append(byte + (0, a, b, (a + b) // 2, p)[kind] & 255)
    return bytes(out)


def read_npy(path):
    data = open(path, "rb").read()
    n = struct.unpack("<H", data[8:10])[0]
    rows, width = eval(data[10 : 10 + n].decode())["shape"]
    v = struct.unpack(f"<{rows * width}f", data[10 + n :])
    return [v[i * width : (i + 1) * width] for i in range(rows)]


def mutations(picture, values):
    """The cells begin at (76,134) and are 17 pixels high; a line holds all bases."""
    width, limit = 900 / len(values), sorted(abs(x) for row in values for x in row if x == x)[-1]
    for i, row in enumerate(values):
        for b, v in enumerate(row):
            r, _, blue = picture[134 + 17 * b + 3][int(76 + width * (i + 0.25))]
            if v != v:
                assert (r, blue) == (0xDD, 0xDD), (i, b)
            elif abs(v) > limit / 20:
                assert (blue > r) == (v < 0), (i, b, v, r, blue)
            elif v == 0:
                assert (r, blue) == (255, 255), (i, b, r, blue)


def dependence(picture, values):
    """The map begins at (110,66) and has 830 pixels. Colours of viridis grow with green."""
    n, seen = len(values), []
    for i, row in enumerate(values):
        for j, v in enumerate(row):
            green = picture[int(66 + 830 * (i + 0.5) / n)][int(110 + 830 * (j + 0.5) / n)][1]
            assert v == v or green == 0xDD, (i, j, green)
            if v == v:
                seen.append((v, green))
    seen.sort()
    assert all(b[1] >= a[1] - 1 for a, b in zip(seen, seen[1:]))
    assert seen[0][1] < 10 and seen[-1][1] > 150, (seen[0], seen[-1])


what, path = sys.argv[1:3]
if what == "xml":
    assert xml.parse(path).getroot().tag.endswith("svg")
elif what == "size":
    print(*size_of(path))
else:
    {"mutations": mutations, "dependence": dependence}[what](read_png(path), read_npy(sys.argv[3]))
