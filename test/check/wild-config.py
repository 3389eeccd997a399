"""wild-config.py make FOLDER | set FOLDER KEY VALUE | compare FOLDER NEW: writes and compares a config.json with all
keys of published files and some unknown keys. SPDX-License-Identifier: MIT"""

import json
import sys

what, folder = sys.argv[1:3]
NAMES = ("config.json", "tokenizer_config.json")


def load(folder, name):
    try:
        return json.load(open(f"{folder}/{name}"))
    except FileNotFoundError:
        return {}


def same(a, b):
    """Returns whether two values have equal value and type. An integer of more than 64 bits may become a float."""
    if isinstance(a, int) and not isinstance(a, bool) and abs(a) >= 10**18:
        return a == b
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return all(k in b and same(a[k], b[k]) for k in a)
    return len(a) == len(b) and all(map(same, a, b)) if isinstance(a, list) else a == b


if what == "set":
    c = load(folder, NAMES[0])
    c[sys.argv[3]] = json.loads(sys.argv[4])
    if c[sys.argv[3]] == "esm":
        del c["d_model"]
    json.dump(c, open(folder + "/config.json", "w"))
elif what == "make":
    c, t = load(folder, NAMES[0]), load(folder, NAMES[1])
    c["auto_map"] = {"AutoConfig": "configuration_caduceus.CaduceusConfig"}
    c.update(pad_token_id=-100, residual_in_fp32=True, transformers_version="4.38.1", torch_dtype="float32")
    c.update(return_dict=True, bos_token_id=None, task_specific_params={}, pruned_heads={"1": [2, 3.25]}, top_p=1.0)
    c.update(a_float=0.1234567890123456789, tiny=5e-324, whole=9007199254740993, big=10**30, no=[])
    c.update(limits=[0.0, float("inf")], minus=-(10**25))
    c["text"] = "é “x” \\ \n"
    c["ssm_cfg"].update(use_fast_path=True, layer_idx=None)
    c["initializer_cfg"] = {"initializer_range": 0.02, "rescale_prenorm_residual": True, "more": [1, 2.5]}
    t.update(model_max_length=int(1e30), tokenizer_class="Mine", auto_map={"AutoTokenizer": ["tok.T", None]})
    t.update(added_tokens_decoder={"0": {"content": "[CLS]", "special": True}}, clean_up_tokenization_spaces=False)
    json.dump(c, open(folder + "/config.json", "w"))
    json.dump(t, open(folder + "/tokenizer_config.json", "w"))
else:
    for name in NAMES:
        a, b = load(folder, name), load(sys.argv[3], name)
        assert same(a, b), [(k, a[k], b.get(k)) for k in a if k not in b or not same(a[k], b[k])]
