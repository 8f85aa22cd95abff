"""A linear classifier over character n-grams and words: what the surface of a phrase gives away."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.special import log_softmax, softmax

_WIDTH = 1 << 14


def features(texts: Sequence[str]) -> csr_array:
    """Each text as the set of its words and its character one- to three-grams, hashed; rows of length 1."""
    rows, columns, values = [], [], []
    for row, text in enumerate(texts):
        grams = {text[i : i + n] for n in (1, 2, 3) for i in range(len(text) - n + 1)} | set(text.split())
        # The length in characters and in words, in steps.
        grams |= {f"\0{len(text) // 4}", f"\1{len(text.split())}"}
        found = {zlib.crc32(gram.encode()) % _WIDTH for gram in grams}
        rows += [row] * len(found)
        columns += sorted(found)
        values += [len(found) ** -0.5] * len(found)
    return csr_array((values, (rows, columns)), shape=(len(texts), _WIDTH))


def accuracy(
    train: tuple[csr_array, Sequence[str]], test: tuple[csr_array, Sequence[str]], decay: float = 1e-4
) -> float:
    """The share of test items that a softmax regression, fitted with L-BFGS, labels rightly."""
    names = sorted(set(train[1]))
    wanted = np.array([names.index(label) for label in train[1]])
    inputs, count = train[0], len(wanted)
    hot = np.eye(len(names))[wanted]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(-1, len(names))
        scores = inputs @ weights
        gradient = inputs.T @ (softmax(scores, axis=1) - hot) / count + decay * weights
        value = -(log_softmax(scores, axis=1) * hot).sum() / count + decay / 2 * (flat @ flat)
        return float(value), gradient.ravel()

    start = np.zeros(inputs.shape[1] * len(names))
    fitted = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 60}).x
    guessed = (test[0] @ fitted.reshape(-1, len(names))).argmax(axis=1)
    return float(np.mean([names[g] == label for g, label in zip(guessed, test[1], strict=True)]))
