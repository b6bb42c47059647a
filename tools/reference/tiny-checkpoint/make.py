"""A random tiny checkpoint of any architecture that transformers knows, with the answers that transformers gives.

usage: make.py CONFIG.json OUT [--lengths 7,70] [--greedy 8] [--seed 1]

OUT becomes a folder with config.json, model.safetensors (bfloat16) and expected/: cases.json and, for the first length, the
logits of every position (float32, little-endian). Expected values are computed in float32 from the bfloat16 weights with eager
attention. Weights are random but not gentle: norms away from one, biases away from zero, heads that tell apart.
"""
import argparse
import json
import os

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM


def randomise(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim == 1:
                value = 0.2 * noise if name.endswith("bias") else 1 + 0.3 * noise
            else:
                value = noise * (1.5 / parameter.shape[-1] ** 0.5)
            parameter.copy_(value.to(torch.bfloat16).to(parameter.dtype))


def greedy(model, ids, count):
    ids = list(ids)
    start = len(ids)
    for _ in range(count):
        with torch.no_grad():
            ids.append(int(model(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
    return ids[start:]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("config")
    parser.add_argument("out")
    parser.add_argument("--lengths", default="7,70")
    parser.add_argument("--greedy", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    config = AutoConfig.for_model(**json.load(open(options.config)))
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    randomise(model, options.seed)
    expected = os.path.join(options.out, "expected")
    os.makedirs(expected, exist_ok=True)
    generator = torch.Generator().manual_seed(options.seed + 1)
    cases = []
    for index, length in enumerate(int(length) for length in options.lengths.split(",")):
        ids = torch.randint(0, config.vocab_size, (length,), generator=generator).tolist()
        case = {"name": f"text-{length}", "ids": ids, "greedy": greedy(model, ids, options.greedy)}
        if index == 0:
            with torch.no_grad():
                logits = model(torch.tensor([ids]), use_cache=False).logits[0]
            case["logits"] = f"text-{length}.logits.f32"
            np.asarray(logits, dtype="<f4").tofile(os.path.join(expected, case["logits"]))
        cases.append(case)
    with open(os.path.join(expected, "cases.json"), "w") as file:
        json.dump({"madeBy": "transformers, float32 from bfloat16 weights, eager attention", "cases": cases}, file)
    model.to(torch.bfloat16).save_pretrained(options.out)
    os.remove(os.path.join(options.out, "generation_config.json"))


main()
