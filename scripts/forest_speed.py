#!/usr/bin/env python3
"""CPU time of scikit-learn's isolation forest and of this repository's, on the same generated rows.

usage: cargo build --release -p aiops-eval && forest_speed.py target/release/aiops-eval
100 000 rows, 10 columns, 100 trees of 256 rows; the median of five runs each, process CPU time.
"""
import json, os, subprocess, sys, tempfile, time
import numpy as np
from sklearn.ensemble import IsolationForest


def median_cpu(f):
    times = []
    for _ in range(5):
        a = time.process_time()
        f()
        times.append(time.process_time() - a)
    return sorted(times)[2]


rows = np.random.default_rng(1).normal(size=(100_000, 10))
forest = IsolationForest(n_estimators=100, max_samples=256, random_state=0, n_jobs=1)
fit = median_cpu(lambda: forest.fit(rows))
score = median_cpu(lambda: forest.score_samples(rows))
ours = json.loads(subprocess.check_output([sys.argv[1], "forest-speed", "--json"]))
print("scikit-learn  fit %.4f s  score %.4f s" % (fit, score))
print("aiops-detect  fit %.4f s  score %.4f s" % (ours["fit_seconds"], ours["score_seconds"]))
print("ratio         fit %.4f    score %.4f" % (ours["fit_seconds"] / fit, ours["score_seconds"] / score))
