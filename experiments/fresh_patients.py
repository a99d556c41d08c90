"""How often does an audit clear a "generator" that draws fresh patients, and does it ever accuse one?

    python experiments/fresh_patients.py [--kind breast] [--runs 100] [--size 64] [--images 1000]

Phantoms, one image a patient. The training images are fixed; a pool of ten times as many fresh patients is scored once,
and every run draws its synthetic set and its held-out images from the pool, so that runs share a tenth of each. With
--planted every run's set has so large a share of near copies. Prints the verdicts, and how often each test rejects at
0.05 before Holm's correction.
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np

from augury.data.phantoms import PHANTOMS, render
from augury.metrics.neighbours import nearest
from augury.metrics.privacy import nearest_share
from augury.metrics.tail_excess import tail_excess
from augury.studies.audit.copies import PLANTED, Power, judge, power
from augury.studies.audit.correlation import best_correlation
from augury.studies.audit.detector import Detector, Matches, learned, stored, thumbs
from augury.studies.audit.nearness import relabelled_p
from augury.studies.audit.planted import fit_autoencoder, planted
from augury.studies.audit.verdict import word
from augury.studies.verdict import holm


def pixels(kind: str, *, n: int, size: int, seed: int) -> np.ndarray:
    config = PHANTOMS[kind](size=size, **{"breast": {"views_per_patient": 1}}.get(kind, {}))
    drawn = render(config, n=n * config.images_per_patient, seed=seed).image_NHWC[:: config.images_per_patient]
    return np.ascontiguousarray(drawn.transpose(0, 3, 1, 2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", default="breast", choices=sorted(PHANTOMS))
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--planted", type=float, default=0.0)
    options = parser.parse_args()
    n = options.images
    train = pixels(options.kind, n=n, size=options.size, seed=1)
    pool_NHW = thumbs(pixels(options.kind, n=10 * n, size=options.size, seed=2))
    encoder = learned(thumbs(pixels(options.kind, n=n // 2, size=options.size, seed=3)), seed=0)
    train_THW = thumbs(train)
    detector = Detector(train_THW, np.arange(n), encoder=encoder)
    pool, own = detector.matches(pool_NHW), detector.matches(train_THW, group_N=np.arange(n)).score_N
    plain = best_correlation(pool_NHW, train_THW)
    plain_own = best_correlation(train_THW, train_THW, group_N=np.arange(n), group_T=np.arange(n))
    made = planted(train[:PLANTED], autoencoder=fit_autoencoder(train), seed=0)
    copies_HW = {kind: thumbs(image) for kind, image in made.items()}
    copied = {kind: detector.matches(image) for kind, image in copies_HW.items()}
    z_train, z_pool = encoder(stored(train_THW)), encoder(stored(pool_NHW))
    every = np.concatenate(list(copies_HW.values()))
    z_copy, plain_copy = encoder(stored(every)), best_correlation(every, train_THW)
    score_copy = np.concatenate([one.score_N for one in copied.values()])
    verdicts: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    powers: list[float] = []
    stated: Power | None = None
    for run in range(options.runs):
        rng = np.random.default_rng(run)
        drawn = rng.permutation(10 * n)
        made_S, held_H = drawn[:n], drawn[n : 2 * n]
        count = round(options.planted * n)
        place = rng.choice(len(every), count)
        score_S = np.concatenate([pool.score_N[made_S[count:]], score_copy[place]])
        z_S = np.concatenate([z_pool[made_S[count:]], z_copy[place]])
        plain_S = np.concatenate([plain[made_S[count:]], plain_copy[place]])
        found = judge(
            Matches(score_N=score_S, index_N=np.zeros(n, dtype=np.int64)),
            np.concatenate([pool.score_N[held_H], own]), seed=run,
        )  # fmt: skip
        z_H = z_pool[held_H]
        p = {
            "copies": found.p,
            "registered_correlation": tail_excess(plain_S, np.concatenate([plain[held_H], plain_own]), seed=run),
            "nearest_neighbour_share": nearest_share(z_S, z_train, z_H, seed=run).p,
            "membership": relabelled_p(-nearest(z_train, z_S)[0][:, 0], -nearest(z_H, z_S)[0][:, 0], seed=run),
        }
        if stated is None or run % 10 == 0:  # it differs from run to run by the draw alone
            stated = power(found, copied, seed=run)
        powers.append(stated.at[0.01].value)
        adjusted = dict(zip(p, holm(list(p.values()))[0], strict=True))
        verdicts[word(adjusted, flagged=int(found.flagged_S.sum()), powerful=stated.enough, held_groups=n)] += 1
        rejected.update(name for name, value in p.items() if value <= 0.05)
    print(f"phantom:{options.kind}, {options.size} px, {n} of each, {options.planted:g} planted, {options.runs} runs")
    print(dict(verdicts), "; rejects at 0.05:", dict(rejected), f"; power at 1 %: {np.mean(powers):.2f}")


if __name__ == "__main__":
    main()
