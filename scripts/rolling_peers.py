"""Times the rolling scores of bottleneck, polars and aiops in turn, in processor time. See rolling_peers.sh."""

import statistics
import subprocess
import sys
import time

import bottleneck
import numpy
import polars

SAMPLES, WINDOW = 10_000_000, 288


def samples():
    """A daily wave, noise and rare spikes, as in benches/src/rolling.rs."""
    random = numpy.random.default_rng(42)
    wave = 10.0 * numpy.sin(numpy.arange(SAMPLES) * (2.0 * numpy.pi / 288.0))
    noise = (random.random((4, SAMPLES)) - 0.5).sum(axis=0)
    return 100.0 + wave + noise + 50.0 * (random.random(SAMPLES) < 0.001)


def with_bottleneck(values):
    mean = bottleneck.move_mean(values, WINDOW)[:-1]
    deviation = bottleneck.move_std(values, WINDOW, ddof=1)[:-1]
    return (values[1:] - mean) / deviation


def with_polars(frame):
    value = polars.col("value")
    mean = value.rolling_mean(WINDOW).shift(1)
    deviation = value.rolling_std(WINDOW).shift(1)
    return frame.select((value - mean) / deviation)["value"]


def timed(work, *arguments):
    start = time.process_time()
    result = work(*arguments)
    return (time.process_time() - start) * 1e9 / SAMPLES, result


def with_aiops(ratios):
    """Nanoseconds per sample of RollingSigma::push_slice, as the program prints them."""
    command = [ratios, "3", f"RollingSigma batch, window {WINDOW} / plain"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return float(lines[-1].split("|")[2])


def main():
    ratios, rounds = sys.argv[1], int(sys.argv[2])
    values = samples()
    frame = polars.DataFrame({"value": values})
    times = {"bottleneck": [], "polars": [], "aiops": []}
    for _ in range(rounds):
        took, first = timed(with_bottleneck, values)
        times["bottleneck"].append(took)
        took, second = timed(with_polars, frame)
        times["polars"].append(took)
        times["aiops"].append(with_aiops(ratios))
        # All score the same thing: the sample after each full window.
        numpy.testing.assert_allclose(first[WINDOW - 1 :], second.to_numpy()[WINDOW:], rtol=1e-6, atol=1e-6)
    versions = {"bottleneck": bottleneck.__version__, "polars": polars.__version__, "aiops": "this repository"}
    print(f"| {SAMPLES} samples, window {WINDOW}, medians of {rounds} interleaved rounds | ns/sample | aiops is faster by |")
    print("|---|---|---|")
    for name, took in times.items():
        faster = statistics.median(theirs / ours for theirs, ours in zip(took, times["aiops"]))
        print(f"| {name} {versions[name]} | {statistics.median(took):.2f} | {faster:.2f} |")
    fastest = min(times["bottleneck"], times["polars"], key=statistics.median)
    print(f"\nfaster than the faster peer by {statistics.median(t / o for t, o in zip(fastest, times['aiops'])):.2f}")


if __name__ == "__main__":
    main()
