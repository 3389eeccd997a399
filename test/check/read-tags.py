"""read-tags.py BAM: checks with pysam that the tags of each read are consistent with one another and its bases."""

import sys

import pysam

with pysam.AlignmentFile(sys.argv[1], check_sq=False) as f:
    for r in f:
        yb = r.get_tag("yb")
        scored = [x for x in yb if x != 1]
        assert yb.typecode == "f" and len(yb) == r.query_length and len(scored) == r.get_tag("yn"), r.query_name
        assert abs(sum(scored) / len(scored) - r.get_tag("yp")) < 2e-5, r.query_name
        assert len(r.get_tag("ye")) == 16, r.query_name
