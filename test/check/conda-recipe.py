"""conda-recipe.py META.YAML: renders and parses a conda recipe; prints name, version and license, one a line."""

import sys

import jinja2
import yaml

text = open(sys.argv[1]).read()
names = {"compiler": lambda language: language + "-compiler", "pin_subpackage": lambda name, **_: name}
recipe = yaml.safe_load(jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(text).render(names))

known = {"package", "source", "build", "requirements", "test", "about", "extra"}
assert set(recipe) <= known, f"unknown sections: {set(recipe) - known}"
assert set(recipe["requirements"]) == {"build", "host", "run"}, "requirements are build, host and run"
for part, packages in recipe["requirements"].items():
    assert all(isinstance(p, str) for p in packages), f"requirements, {part}: not a list of packages"
assert all(isinstance(c, str) for c in recipe["test"]["commands"]), "test: commands are not a list of lines"
for key in ("summary", "license", "license_file"):
    assert recipe["about"][key], f"about: no {key}"
print(recipe["package"]["name"], recipe["package"]["version"], recipe["about"]["license"], sep="\n")
