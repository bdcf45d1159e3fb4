"""A .gguf file is loaded as it is: weights, rotary layout, tokenizer and window come from the file."""

from __future__ import annotations

from pathlib import Path

import gguf
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.convert_slow_tokenizer import bytes_to_unicode

from engine.errors import ModelLoadError
from engine.models.model import LanguageModel
from engine.policies import Dense
from engine.prefill.attention import Attending
from engine.prefill.prefill import prefill_segment
from engine.prefill.spans import chunk_spans

HEADS, KV_HEADS, LAYERS = 4, 2, 2
NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


@pytest.fixture(scope="module")
def original() -> LlamaForCausalLM:
    """A random Llama whose vocabulary is the 256 bytes, one merge and an end token."""
    torch.manual_seed(3)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=258,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            num_key_value_heads=KV_HEADS,
            max_position_embeddings=256,
            tie_word_embeddings=False,
        )
    ).eval()


@pytest.fixture(scope="module")
def gguf_file(original: LlamaForCausalLM, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model as a float32 GGUF file."""
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    config = original.config
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([*bytes_to_unicode().values(), "he", "<end>"])
    writer.add_token_types([gguf.TokenType.NORMAL] * 257 + [gguf.TokenType.CONTROL])
    writer.add_token_merges(["h e"])
    writer.add_eos_token_id(257)
    state = original.state_dict()
    writer.add_tensor("token_embd.weight", state["model.embed_tokens.weight"].numpy())
    writer.add_tensor("output_norm.weight", state["model.norm.weight"].numpy())
    writer.add_tensor("output.weight", state["lm_head.weight"].numpy())
    for i in range(LAYERS):
        for theirs, name in NAMES.items():
            weight = state[f"model.layers.{i}.{theirs}.weight"]
            heads = {"attn_q": HEADS, "attn_k": KV_HEADS}.get(name)
            if heads:  # GGUF keeps the two halves of a rotary pair beside each other
                weight = weight.view(heads, 2, -1, weight.shape[1]).transpose(1, 2).reshape(weight.shape)
            writer.add_tensor(f"blk.{i}.{name}.weight", weight.contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_gguf_file_computes_what_its_original_computes(
    original: LlamaForCausalLM, gguf_file: Path, tmp_path: Path
) -> None:
    model = LanguageModel.load(str(gguf_file), dtype="float32", device="cpu", home=tmp_path)
    assert (model.name, model.window, model.stop_ids) == ("tiny", 256, {257})
    ids = model.encode("the bell rings at nine")
    assert model.decode(ids) == "the bell rings at nine"
    assert len(ids) == 21  # "he" is one token
    cache = model.new_cache(len(ids))
    hidden = prefill_segment(model.decoder, cache, ids, chunk_spans(len(ids), 8), attends=Attending(Dense()))
    with torch.inference_mode():
        expected = original(torch.tensor([ids])).logits[0, -1]
    assert (model.logits(hidden) - expected).abs().max() <= 1e-3


def test_a_file_that_is_no_gguf_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(ModelLoadError, match=r"broken\.gguf"):
        LanguageModel.load(str(path), home=tmp_path)
