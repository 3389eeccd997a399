"""modeling_caduceus.py: Caduceus as a model class of transformers, slow and simple. SPDX-License-Identifier: MIT

It has the published names of tensors, ties and buffers, and shares no code with the C project. If DECLARES_TIES is
False, ties are made in the constructors only, as in the published classes; transformers 4.51 and later then needs both
names of a tied tensor in the file.

Letters: B sequences, L tokens, D d_model, E d_inner, N d_state, K d_conv, R dt_rank, V rows of the vocabulary."""

import math

import torch
import transformers
from torch import nn
from torch.nn import functional as F
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, MaskedLMOutput, SequenceClassifierOutput

DECLARES_TIES = True
MAPPED = int(transformers.__version__.split(".")[0]) >= 5  # ties are {target: source}; older versions: a list
SSM = {"d_state": 16, "d_conv": 4, "expand": 2, "dt_rank": "auto", "conv_bias": True, "bias": False}
DNA = {7: 10, 8: 9, 9: 8, 10: 7}


class CaduceusConfig(PretrainedConfig):
    model_type = "caduceus"

    def __init__(self, d_model=256, n_layer=4, vocab_size=12, pad_vocab_size_multiple=8, ssm_cfg=None, rms_norm=True,
                 fused_add_norm=True, norm_epsilon=1e-5, bidirectional=True, bidirectional_strategy="add",
                 bidirectional_weight_tie=True, rcps=False, complement_map=None, **more):
        self.d_model, self.n_layer, self.vocab_size = d_model, n_layer, vocab_size
        self.pad_vocab_size_multiple, self.ssm_cfg = pad_vocab_size_multiple, ssm_cfg
        self.rms_norm, self.fused_add_norm, self.norm_epsilon = rms_norm, fused_add_norm, norm_epsilon
        self.bidirectional, self.bidirectional_strategy = bidirectional, bidirectional_strategy
        self.bidirectional_weight_tie, self.rcps, self.complement_map = bidirectional_weight_tie, rcps, complement_map
        self.hidden_size = d_model
        more.setdefault("tie_word_embeddings", True)
        super().__init__(**more)

    @property
    def rows(self):
        return -(-self.vocab_size // self.pad_vocab_size_multiple) * self.pad_vocab_size_multiple

    @property
    def complement(self):
        """Returns the complement of each id (V)."""
        given = DNA if self.complement_map is None else {int(k): v for k, v in self.complement_map.items()}
        return torch.tensor([given.get(v, v) for v in range(self.rows)])


def flip(x):
    """Reverses length and channels of (B,L,D)."""
    return x.flip((1, 2))


class Both(nn.Module):
    """Applies a module to the first half of (B,L,2D) and, between two flips, to the second half."""

    def __init__(self, submodule):
        super().__init__()
        self.submodule = submodule

    def forward(self, x):
        return both(self.submodule, x)


def both(f, x):
    a, c = x.chunk(2, -1)
    a, c = f(torch.cat((a, flip(c)))).chunk(2)
    return torch.cat((a, flip(c)), -1)


class Mamba(nn.Module):
    def __init__(self, config):
        super().__init__()
        ssm = {**SSM, **(config.ssm_cfg or {})}
        D, E, N, K = config.d_model, config.d_model * ssm["expand"], ssm["d_state"], ssm["d_conv"]
        R = math.ceil(D / 16) if ssm["dt_rank"] == "auto" else ssm["dt_rank"]
        self.split = [R, N, N]
        self.in_proj = nn.Linear(D, 2 * E, bias=ssm["bias"])
        self.conv1d = nn.Conv1d(E, E, K, groups=E, padding=K - 1, bias=ssm["conv_bias"])
        self.x_proj = nn.Linear(E, R + 2 * N, bias=False)
        self.dt_proj = nn.Linear(R, E)
        self.A_log, self.D = nn.Parameter(torch.zeros(E, N)), nn.Parameter(torch.ones(E))
        self.out_proj = nn.Linear(E, D, bias=ssm["bias"])

    def forward(self, h):  # (B,L,D), in this direction's own order
        x, z = self.in_proj(h).chunk(2, -1)
        u = F.silu(self.conv1d(x.mT)[..., : h.shape[1]]).mT
        dt, Bm, Cm = self.x_proj(u).split(self.split, -1)
        dt = F.softplus(self.dt_proj(dt))
        decay, s, y = -self.A_log.exp(), 0, []
        for t in range(h.shape[1]):  # s (B,E,N)
            s = (dt[:, t, :, None] * decay).exp() * s + (dt[:, t] * u[:, t])[..., None] * Bm[:, t, None]
            y.append((s * Cm[:, t, None]).sum(-1))
        return self.out_proj((torch.stack(y, 1) + self.D * u) * F.silu(z))


def tie(module, name, parameter):
    """Replaces a parameter of a module or of its submodules."""
    owner, _, last = name.rpartition(".")
    setattr(module.get_submodule(owner), last, parameter)


class BiMamba(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.multiply = config.bidirectional_strategy == "ew_multiply"
        self.mamba_fwd, self.mamba_rev = Mamba(config), Mamba(config) if config.bidirectional else None
        self.tied = []  # parameters of mamba_rev that are tied to those of mamba_fwd
        if self.mamba_rev and config.bidirectional_weight_tie:
            self.tied = [n for n, _ in self.mamba_fwd.named_parameters() if n.startswith(("in_proj", "out_proj"))]
        for name in self.tied:
            tie(self.mamba_rev, name, self.mamba_fwd.get_parameter(name))

    def forward(self, h):
        out = self.mamba_fwd(h)
        if self.mamba_rev is None:
            return out
        rev = self.mamba_rev(h.flip(1)).flip(1)
        return out * rev if self.multiply else out + rev


def make_norm(config):
    return (nn.RMSNorm if config.rms_norm else nn.LayerNorm)(config.d_model, config.norm_epsilon)


def wrapped(config, module, wrap=True):
    return Both(module) if config.rcps and wrap else module


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.halves, self.swap = config.rcps, config.rcps and config.fused_add_norm
        self.mixer = wrapped(config, BiMamba(config))
        self.norm = wrapped(config, make_norm(config), not config.fused_add_norm)

    def forward(self, h, res):
        if self.swap:  # as published: the fused norm exchanges the halves
            h, res = (x.roll(x.shape[-1] // 2, -1) for x in (h, res))
        res = h + res
        return self.mixer(both(self.norm, res) if self.swap else self.norm(res)), res


class Embedding(nn.Module):
    """The embedding of PS: (B,L) -> (B,L,2D)."""

    def __init__(self, config):
        super().__init__()
        self.embedding = nn.Embedding(config.rows, config.d_model)
        self.register_buffer("complement_map", config.complement)

    def forward(self, ids):
        return torch.cat((self.embedding(ids), flip(self.embedding(self.complement_map[ids.flip(1)]))), -1)


class Head(nn.Module):
    """The head of PS: (B,L,2D) -> (B,L,V)."""

    def __init__(self, config):
        super().__init__()
        self.lm_head = nn.Linear(config.d_model, config.rows, bias=False)
        self.register_buffer("complement_map", config.complement)

    def forward(self, x):
        a, c = x.chunk(2, -1)
        return self.lm_head(a) + self.lm_head(c.flip(-1))[..., self.complement_map]


class Embeddings(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.word_embeddings = Embedding(config) if config.rcps else nn.Embedding(config.rows, config.d_model)


class Backbone(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.norm_f = wrapped(config, make_norm(config), not config.fused_add_norm)
        self.halves = config.rcps and config.fused_add_norm

    def forward(self, ids):
        h = self.embeddings.word_embeddings(ids)
        res = torch.zeros_like(h)
        for layer in self.layers:
            h, res = layer(h, res)
        return both(self.norm_f, h + res) if self.halves else self.norm_f(h + res)


class CaduceusPreTrainedModel(PreTrainedModel):
    config_class, base_model_prefix = CaduceusConfig, "caduceus"
    _supports_param_buffer_assignment = False  # else 4.47 ignores torch_dtype if the first buffer is integer

    def finish(self, **ties):
        """Ends a constructor. ties: {name: the name it is tied to}, declared to transformers."""
        for at, module in self.named_modules():
            names = module.tied if isinstance(module, BiMamba) else []
            ties.update({f"{at}.mamba_rev.{n}": f"{at}.mamba_fwd.{n}" for n in names})
        self.ties = ties if DECLARES_TIES else {}
        if self.ties:
            self._tied_weights_keys = ties if MAPPED else [*ties, *ties.values()]
        self.post_init()

    def tie_weights(self, *args, **kw):
        if MAPPED:
            return super().tie_weights(*args, **kw)
        for name, first in self.ties.items():
            tie(self, name, self.get_parameter(first))

    def _init_weights(self, module):
        pass


class Caduceus(CaduceusPreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.backbone = Backbone(config)
        self.finish()

    def get_input_embeddings(self):
        words = self.backbone.embeddings.word_embeddings
        return words.embedding if self.config.rcps else words

    def forward(self, input_ids):
        return BaseModelOutput(last_hidden_state=self.backbone(input_ids))


class CaduceusForMaskedLM(CaduceusPreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.caduceus = Caduceus(config)
        self.lm_head = Head(config) if config.rcps else nn.Linear(config.d_model, config.rows, bias=False)
        name = "lm_head.lm_head.weight" if config.rcps else "lm_head.weight"
        table = "caduceus.backbone.embeddings.word_embeddings" + (".embedding.weight" if config.rcps else ".weight")
        tie(self, name, self.get_parameter(table))
        self.finish(**{name: table})

    def get_input_embeddings(self):
        return self.caduceus.get_input_embeddings()

    def forward(self, input_ids):
        h = self.caduceus(input_ids).last_hidden_state
        return MaskedLMOutput(logits=self.lm_head(h), hidden_states=(h,))


class CaduceusForSequenceClassification(CaduceusPreTrainedModel):
    def __init__(self, config, pooling_strategy="mean"):
        super().__init__(config)
        self.pooling_strategy = pooling_strategy
        self.caduceus = Caduceus(config)
        self.score = nn.Linear(config.d_model, config.num_labels, bias=False)
        self.finish()

    def get_input_embeddings(self):
        return self.caduceus.get_input_embeddings()

    def forward(self, input_ids, input_ids_rc=None):
        """input_ids_rc: the other strand, for post-hoc conjoining of Ph."""
        strands = [self.caduceus(input_ids).last_hidden_state]
        if self.config.rcps:
            a, c = strands[0].chunk(2, -1)
            strands = [a, flip(c)]
        elif input_ids_rc is not None:
            strands.append(self.caduceus(input_ids_rc).last_hidden_state)
        pooled = [x.amax(1) if self.pooling_strategy == "max" else x.mean(1) for x in strands]
        return SequenceClassifierOutput(logits=sum(map(self.score, pooled)) / len(pooled))
