#!/usr/bin/env python3
"""Writes the golden file of the isolation forest: trees of scikit-learn, rows, and scikit-learn's scores of them.

usage: forest_golden.py > aiops-detect/tests/fixtures/forest-sklearn.json
The rows are generated and are whole numbers of 1/64, so that scikit-learn's float32 holds them exactly.
"""
import json, sys
import numpy as np, sklearn
from sklearn.ensemble import IsolationForest

rng = np.random.default_rng(8)
x = rng.normal(size=(300, 3)) * [1.0, 5.0, 0.2]
x[:, 2] += x[:, 0]
x[:6] *= 6.0
x = np.round(x * 64) / 64
x[:, 1] = np.round(x[:, 1])  # ties
forest = IsolationForest(n_estimators=12, max_samples=64, random_state=3).fit(x)
trees = []
for estimator, columns in zip(forest.estimators_, forest.estimators_features_):
    assert list(columns) == [0, 1, 2]
    t = estimator.tree_
    # scikit-learn grows depth first, the lower child right after its parent: its arrays are in preorder.
    leaf = t.children_left == -1
    assert all(t.children_left[i] == i + 1 for i in np.flatnonzero(~leaf))
    trees.append(dict(feature=[-1 if l else int(f) for l, f in zip(leaf, t.feature)],
                      threshold=[float(v) for v in t.threshold[~leaf]],
                      samples=[int(n) for n in t.n_node_samples[leaf]]))
rows = np.vstack([x[:60], [[50.0, -80.0, 9.0], [0.0, 0.0, 0.0]]])
json.dump(dict(sklearn=sklearn.__version__, forest=dict(version=1, columns=3, trees=trees), rows=rows.ravel().tolist(),
               score_samples=forest.score_samples(rows).tolist(),
               decision_function=forest.decision_function(rows).tolist()), sys.stdout, separators=(",", ":"))
print()
