"""Two views of every image: our batched augmentation against torchvision's v2 transforms image by image.

The same operations in the same ranges on the same images in one run: random crop (area and aspect) with a flip and a
turn, brightness, contrast, blur. Prints images a second of both and the ratio, which must be at least 4.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms import v2

from augury.data.augmentation import Augmentation, two_views

VIEWS = Augmentation(rotate=15, crop=0.5, aspect=0.25, flip=True, contrast=0.4, brightness=0.15, blur=1.0)
TARGET = 4.0


def per_image(side: int) -> Callable[[Tensor], Tensor]:
    """torchvision's transforms with the operations and ranges of VIEWS."""
    stretch = 1 + VIEWS.aspect
    return v2.Compose(
        [
            v2.RandomResizedCrop(side, scale=(1 - VIEWS.crop, 1.0), ratio=(1 / stretch, stretch), antialias=False),
            v2.RandomHorizontalFlip(),
            v2.RandomRotation(VIEWS.rotate, interpolation=v2.InterpolationMode.BILINEAR),
            v2.ColorJitter(brightness=2 * VIEWS.brightness, contrast=VIEWS.contrast),
            v2.GaussianBlur(7, sigma=(1e-3, VIEWS.blur)),
        ]
    )


def rate(work: Callable[[], object], images: int, *, repeats: int) -> float:
    """Images a second, the best of several runs: what the machine can do when nobody disturbs it."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return images / min(times)


def compare(side: int, batch: int) -> tuple[float, float]:
    """(ours, torchvision) in images a second, two views each."""
    image_BCHW = torch.rand(batch, 1, side, side) * 2 - 1
    generator = torch.Generator().manual_seed(0)
    single = per_image(side)
    unit_BCHW = (image_BCHW + 1) / 2
    ours = rate(lambda: two_views(image_BCHW, VIEWS, generator=generator), batch, repeats=15)
    theirs = rate(lambda: [(single(image), single(image)) for image in unit_BCHW], batch, repeats=3)
    return ours, theirs


def main() -> None:
    print(f"two views, {torch.get_num_threads()} threads; target: ratio >= {TARGET:g}")
    print(f"{'side':>5} {'batch':>6} {'augury /s':>10} {'torchvision /s':>15} {'ratio':>7}")
    for side, batch in ((32, 128), (64, 128), (128, 64)):
        ours, theirs = compare(side, batch)
        print(f"{side:>5} {batch:>6} {ours:>10.0f} {theirs:>15.0f} {ours / theirs:>7.1f}")


if __name__ == "__main__":
    main()
