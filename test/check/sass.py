"""sass.py CUBIN TABLE NVCC [print]: counts what the compiled kernels of CUBIN (sm_90) need and compares it with TABLE.

Each row of the table names a kernel, an instruction that its loop over rows executes `each` times a row (so that the
number of rows of a compiled iteration is known), and the rows of a `lap`: those for which the instructions around that
loop are executed once. Columns with counts: registers; slots a row within the loop; slots a row around it; exponentials
and reciprocals a row, which hold their unit for 8 clocks. The instructions around a loop count once each, those of
other loops too, so `around` is an estimate; a loop with the same instruction that runs the last rows of a lap counts
nowhere. Slots are issue slots of a warp: one instruction each.

The first line of the table says which nvcc counted. Under another nvcc only local memory (spills) is compared: no
kernel may use any. print: prints the counts of this build as a table, with estimates for an H200; compares nothing."""

import re
import struct
import sys

OPCODES = {0x308: "MUFU", 0x908: "MUFU", 0x986: "STG", 0x388: "STS", 0x387: "STL", 0x983: "LDL", 0x947: "BRA"}
MUFU = {2: "EX2", 4: "RCP", 5: "RSQ"}  # by bits 74 to 77
REGISTERS, FRAME = 0x2F, 0x11  # attributes in .nv.info
NANOSECONDS = 32 / (132 * 4 * 1.98)  # of a slot a row and channel: 2 x 512 channels, 132 SMs x 4 warps/clock, 1.98 GHz
SHARE = 0.85  # of issue slots that are used, as assumed in estimates
OTHERS = 2.8  # ns of products and norm, from their operations and bytes; the last term of a printed estimate
BYTES = {"conv_bf16": 4, "roll_back_bf16": 14, "roll_back_fp32": 16}  # to and from memory a row and channel
TOLERANCE = {"registers": 1.07, "row": 1.03, "around": 1.25, "special": 1.0}
# The kernels of a forward pass that an estimate adds up.
WINDOWS = {
    "windows of up to 2,048": ["conv_bf16", "scan_laps_bf16"],
    "131,072 tokens": ["conv_bf16", "scan_time_bf16"],
}
# One window of 131,072 tokens gives 2 directions x 2 strands x 32 groups of channels = 128 thread blocks, for 132 SMs.
IDLE = {"scan_time_bf16": 132 / 128, "scan_time_fp32": 132 / 128}


def sections(path):
    """Returns the names, bytes and names of symbols of an ELF file."""
    data = open(path, "rb").read()
    table = struct.unpack_from("<Q", data, 40)[0]
    count, names = struct.unpack_from("<HH", data, 60)
    heads = [struct.unpack_from("<IIQQQQIIQQ", data, table + 64 * i) for i in range(count)]

    def text(at):
        return data[at : data.index(b"\0", at)].decode()

    content = {text(heads[names][4] + h[0]): data[h[4] : h[4] + h[5]] for h in heads if h[1] != 8}
    symbols = [h for h in heads if h[1] == 2][0]
    strings = heads[symbols[6]][4]
    labels = [
        text(strings + struct.unpack_from("<I", data, at)[0])
        for at in range(symbols[4], symbols[4] + symbols[5], symbols[9])
    ]
    return content, labels


def plain(name):
    """Returns the name of a kernel without the types of its arguments."""
    m = re.match(r"_ZL?(\d+)(.*)", name)
    return m.group(2)[: int(m.group(1))] if m else name


def attributes(info, labels):
    """Returns {attribute: {kernel: value}} from the section .nv.info."""
    found, at = {REGISTERS: {}, FRAME: {}}, 0
    while at < len(info):
        form, what, size = struct.unpack_from("<BBH", info, at)
        if form == 4 and what in found:
            symbol, value = struct.unpack_from("<II", info, at + 4)
            found[what][plain(labels[symbol])] = value
        at += 4 + (size if form == 4 else 0)
    return found


def instructions(code):
    """Returns (operation, target) of each instruction. target: index of the instruction a branch goes to, or None."""
    out = []
    for at in range(0, len(code), 16):
        low, high = struct.unpack_from("<QQ", code, at)
        name, target = OPCODES.get(low & 0xFFF, ""), None
        if name == "MUFU":
            name = MUFU.get(high >> 10 & 15, "")
        if name == "BRA":
            offset = (high & 0x3FFFF) << 38 | low >> 34 << 8 | low >> 16 & 255
            target = (at + 16 + 4 * (offset - (1 << 56) if offset >> 55 else offset)) // 16
        out.append((name, target))
    end = max(i for i, (name, target) in enumerate(out) if target != i) + 1  # a branch to itself, then padding
    return out[:end]


def count(code, marker, each, lap):
    """Returns the slots a row within the loop over rows and around it, and the exponentials and reciprocals a row;
    None if there is no such loop."""
    loops = [(target, i) for i, (_, target) in enumerate(code) if target is not None and target < i]

    def marks(loop):
        return sum(name == marker for name, _ in code[loop[0] : loop[1] + 1])

    def holds(a, b):
        return a != b and a[0] <= b[0] and b[1] <= a[1]

    inner = [a for a in loops if marks(a) and not any(holds(a, b) and marks(b) for b in loops)]
    if not inner:
        return None
    row = max(inner, key=marks)
    outer = min((a for a in loops if holds(a, row)), key=lambda a: a[0] - a[1], default=(0, len(code) - 1))
    size = row[1] + 1 - row[0]
    around = outer[1] + 1 - outer[0] - sum(a[1] + 1 - a[0] for a in inner if holds(outer, a))
    special = sum(name in MUFU.values() for name, _ in code[row[0] : row[1] + 1])
    return size * each / marks(row), around / lap, special * each / marks(row)


def table(path):
    lines = [line.split() for line in open(path)]
    nvcc = lines[0][2]
    return nvcc, [line for line in lines if line and line[0][0] != "#"]


def counts(path, rows):
    content, labels = sections(path)
    found = attributes(content[".nv.info"], labels)
    code = {plain(name[6:]): data for name, data in content.items() if name.startswith(".text.")}
    local = sorted(k for k, v in found[FRAME].items() if v)
    out = []
    for name, marker, each, lap, *_ in rows:
        if name not in code:
            sys.exit(f"no kernel {name}: see {path}")
        slots = count(instructions(code[name]), marker, float(each), float(lap))
        if slots is None:
            sys.exit(f"{name}: no loop with {marker}")
        out.append((name, marker, each, lap, found[REGISTERS][name], *slots))
    return len(code), local, out


def show(nvcc, kernels, local, rows):
    print(f"# nvcc {nvcc} sm_90")
    print("#kernel\tmarker\teach\tlap\tregisters\trow\taround\tspecial")
    for name, marker, each, lap, registers, *slots in rows:
        print(f"{name}\t{marker}\t{each}\t{lap}\t{registers}\t" + "\t".join(f"{v:.1f}" for v in slots))
    ns = {r[0]: max(r[5] + r[6], 8 * r[7]) * NANOSECONDS / SHARE * IDLE.get(r[0], 1) for r in rows}
    for name in set(ns) & set(BYTES):
        ns[name] = max(ns[name], BYTES[name] * 1024 / 4300)
    print(f"# {kernels} kernels; local memory: {' '.join(local) or 'none'}")
    print(f"# Estimates for an H200 at {SHARE:.0%} of its rates, ns per token, layer and strand (D 256):")
    for name, value in ns.items():
        print(f"#   {name}\t{value:.2f}")
    return ns


def estimate(ns):
    """Prints the estimates of a forward pass in bf16 of 16 layers and two strands."""
    for name, kernels in WINDOWS.items():
        total = OTHERS + sum(ns[k] for k in kernels)
        print(f"# {name}: {total:.1f} ns, {1e3 / (32 * total):.2f} M tokens/s: {' + '.join(kernels)} + {OTHERS}")


def main():
    path, expected, nvcc, *how = sys.argv[1:]
    made_by, rows = table(expected)
    kernels, local, found = counts(path, rows if how or nvcc == made_by else [])
    if how:
        estimate(show(nvcc, kernels, local, found))
        return
    bad = [f"{name} uses local memory" for name in local]
    for want, got in zip(rows, found):
        for key, was, now in zip(TOLERANCE, map(float, want[4:]), got[4:]):
            if now > was * TOLERANCE[key] + 0.05:
                bad.append(f"{got[0]}, {key}: {now:.1f}, was {was:.1f}")
    print("\n".join(bad) or f"{len(found)} of {kernels} kernels as in the table, none uses local memory")
    sys.exit(1 if bad else 0)


main()
