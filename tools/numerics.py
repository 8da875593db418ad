#!/usr/bin/env python3
"""Digests of twelve results of NumPy, to see on two machines what docs/DRIFT.md says of them. Needs NumPy."""

import hashlib

import numpy as np


def main():
    random = np.random.default_rng(7)
    x = random.random(20000) * 20
    a, b = random.random((200, 200)), random.random((200, 200))
    f, a32, b32 = x.astype(np.float32), a.astype(np.float32), b.astype(np.float32)
    results = {
        "random": x, "exp64": np.exp(x), "sin64": np.sin(x), "log64": np.log(x), "exp32": np.exp(f), "sin32": np.sin(f),
        "tanh32": np.tanh(f), "sum32": f.sum(), "sum64": x.sum(), "matmul64": a @ b, "matmul32": a32 @ b32,
        "solve": np.linalg.solve(a, b),
    }
    for name, value in results.items():
        print(name, hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest())


if __name__ == "__main__":
    main()
