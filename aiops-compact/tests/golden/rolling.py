"""Golden vectors for tests/it/golden.rs, from NumPy and SciPy on generated input.

Run: python3 rolling.py   (numpy 2.4, scipy 1.17), paste the output over the tables in golden.rs.
The input is x[i] = ((i * 7919) % 104729) / 1000 + (50 if 60 <= i < 63 else 0), i < 80: exact to reproduce anywhere.
"""

import numpy as np
from scipy import stats

x = np.array([((i * 7919) % 104729) / 1000 + (50 if 60 <= i < 63 else 0) for i in range(80)])
w = 20


def table(name, values):
    print(f"const {name}: [f64; {len(values)}] = [")
    for v in values:
        print(f"    {float(v)!r},")
    print("];")


rows = [30, 40, 50, 60, 61, 62, 63, 79]
table("SIGMA", [(x[i] - x[i - w : i].mean()) / x[i - w : i].std(ddof=1) for i in rows])
table("MAD", [(x[i] - np.median(x[i - w : i])) / stats.median_abs_deviation(x[i - w : i], scale="normal") for i in rows])
table("QUANTILES", [np.quantile(x, q) for q in (0, 0.1, 0.25, 0.5, 0.9, 1)])
line = stats.linregress(np.sqrt(np.arange(80)), x)
table("LINE", [line.slope, line.stderr, line.intercept])
