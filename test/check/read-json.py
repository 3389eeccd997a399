"""read-json.py - prints the leaves of a JSON file, "path<TAB>value" each: numbers as caduceus writes them in tables,
null as a point, members of a list under their place."""
import json
import sys


def text(value):
    if value is None:
        return "."
    return "%.6g" % value if isinstance(value, float) else str(value)


def leaves(value, path):
    if isinstance(value, dict):
        for key in value:
            leaves(value[key], path + [key])
    elif isinstance(value, list):
        for i, item in enumerate(value):
            leaves(item, path + [str(i)])
    else:
        print(".".join(path), text(value), sep="\t")


leaves(json.load(open(sys.argv[1])), [])
