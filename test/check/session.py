"""session.py FOLDER GENOME NAME...: checks that igv_session.xml has a resource and a track for each name, in order."""

import os, sys, xml.etree.ElementTree as tree

folder, genome, names = sys.argv[1], sys.argv[2], sys.argv[3:]
root = tree.parse(os.path.join(folder, "igv_session.xml")).getroot()
assert root.tag == "Session" and root.get("genome") == genome and root.get("version") == "8"
paths, tracks = [r.get("path") for r in root.iter("Resource")], list(root.iter("Track"))
assert paths == [n + ".bw" for n in names] == [t.get("id") for t in tracks], paths
assert all(os.path.getsize(os.path.join(folder, p)) for p in paths)
for t, name in zip(tracks, names):
    bounds = [float(t.find("DataRange").get(k)) for k in ("minimum", "baseline", "maximum")]
    assert bounds[0] <= bounds[1] <= bounds[2] and bounds[0] < bounds[2], bounds
    assert t.find("DataRange").get("type") == "LINEAR"
    assert (t.get("renderer") == "DYNSEQ") == name.startswith("logo_ref"), name
