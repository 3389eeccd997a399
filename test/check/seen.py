"""seen.py KIND: checks seen.json, which browser.html wrote, against the tracks that caduceus wrote. KIND is a function
below."""

import json
import sys

import numpy as n

seen = json.load(open("seen.json"))
NAMES = ["Caduceus pll", "Caduceus logo_ref"]


def lines(path):
    return (line.split() for line in open(path) if line[0] != "#")


def same(track, name):
    """Checks that the browser has a value for each base in view, and that it is the value in the bedGraph."""
    want = {i: float(v) for c, b, e, v in lines(f"want.{name}.bedGraph") for i in range(int(b), int(e))}
    got = {b: v for b, e, v, _ in track["features"] if e == b + 1}
    assert set(range(7350, 7450)) <= got.keys(), (name, got)
    assert all(n.float32(got[i]) == n.float32(want[i]) for i in got), (name, got)


def tracks():
    assert list(seen["json"]) == NAMES


def pll():
    same(seen["json"]["Caduceus pll"], "pll")


def logo_ref():
    same(seen["json"]["Caduceus logo_ref"], "logo_ref")


def letters():
    """Checks that each tall letter has its colour and that together they spell the reference."""
    sequence = "".join(line.strip() for line in open("ref.fa").read().split(">")[1].splitlines()[1:]).upper()
    track = seen["json"]["Caduceus logo_ref"]
    features = track["features"]
    top = max(v for _, _, v, _ in features)
    tall = {s.upper() for _, _, v, s in features if v > top / 3}
    assert track["graph"] == "dynseq" and len(tall) > 1
    assert {seen["letters"]["ACGT".index(x)] for x in tall} <= set(track["colours"])
    assert all(s.upper() == sequence[b:e] for b, e, _, s in features)


def logo():
    for base in "ACGT":
        same(seen["logo"][base], "logo." + base)


def session():
    assert list(seen["xml"]) == NAMES
    same(seen["xml"]["Caduceus pll"], "pll")
    same(seen["xml"]["Caduceus logo_ref"], "logo_ref")


def regions():
    want = [[int(b), int(e), v] for c, b, e, v, _ in lines("hub/demo/regions.bed")]
    assert [f[:3] for f in seen["regions"]["features"]] == want


globals()[sys.argv[1]]()
