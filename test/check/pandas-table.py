"""pandas-table.py - reads a table with pandas as README says, and prints the type of each column; argument "." is
passed as na_values."""
import sys

import pandas

table = pandas.read_csv(sys.argv[1], sep="\t", na_values=".")
for name in table:
    print(name, "number" if table[name].dtype.kind in "if" else "text", sep="\t")
