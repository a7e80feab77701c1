#!/usr/bin/env python3
"""Mean ROC AUC of scikit-learn's isolation forest on each table of a folder, beside what `aiops-eval tabular` says.

usage: forest_tabular.py FOLDER [SEEDS [REPORT]]

FOLDER holds NAME.csv with the label in the last column; REPORT is the output of `aiops-eval tabular FOLDER --json`.
Needs numpy and scikit-learn.
"""
import json
import pathlib
import sys

import numpy as np
from sklearn.ensemble import IsolationForest


def roc_auc(labels, scores):
    order = np.argsort(scores, kind="stable")
    ranks = np.empty(len(scores))
    ordered = scores[order]
    start = 0
    for end in range(1, len(scores) + 1):
        if end == len(scores) or ordered[end] != ordered[start]:
            ranks[order[start:end]] = (start + end + 1) / 2
            start = end
    positives = labels.sum()
    return (ranks[labels == 1].sum() - positives * (positives + 1) / 2) / (positives * (len(labels) - positives))


def main():
    folder = pathlib.Path(sys.argv[1])
    seeds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    ours = {}
    if len(sys.argv) > 3:
        report = json.loads(pathlib.Path(sys.argv[3]).read_text())
        ours = {f["name"]: dict(f["figures"])["roc_auc"] for f in report["sets"][0]["files"]}
    print(f"| set | scikit-learn, {seeds} seeds | standard error | ours | difference |")
    print("|---|---|---|---|---|")
    by_seed = np.zeros(seeds)
    names = sorted(folder.glob("*.csv"))
    for path in names:
        table = np.loadtxt(path, delimiter=",", skiprows=1)
        rows, labels = table[:, :-1], (table[:, -1] != 0).astype(int)
        found = np.array([
            roc_auc(labels, -IsolationForest(n_estimators=100, max_samples=256, random_state=seed).fit(rows).score_samples(rows))
            for seed in range(seeds)
        ])
        by_seed += found / len(names)
        own = ours.get(path.stem, float("nan"))
        error = found.std(ddof=1) / np.sqrt(seeds)
        print(f"| {path.stem} | {found.mean():.4f} | {error:.4f} | {own:.4f} | {own - found.mean():+.4f} |")
    own = np.mean(list(ours.values())) if ours else float("nan")
    error = by_seed.std(ddof=1) / np.sqrt(seeds)
    print(f"| mean | {by_seed.mean():.4f} | {error:.4f} | {own:.4f} | {own - by_seed.mean():+.4f} |")


if __name__ == "__main__":
    main()
