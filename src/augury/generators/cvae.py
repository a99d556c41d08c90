"""cvae: a class-conditional variational autoencoder (Kingma and Welling 2014, Sohn 2015), repaired.

The document's CVAE sums the reconstruction over pixels, adds the full KL and samples the unit normal: `beta=1`,
`warm_up=0`, `sharpness=0`, `head_start=False`, `prior="normal"`, `texture=0`, `reconstruction="bce"`. Here the KL is
small and warmed up, neighbouring pixels must differ as they do in the real image, the networks may begin as principal
components, a mixture is fitted to each class's codes, and a sample is a draw of p(x | z), not its mean: images without
the grain of real ones teach a classifier to expect none.

B batch, N images, Z latent, C channels, H height, W width.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.errors import Refused, UserError
from augury.generators.adversarial import slope
from augury.generators.chunks import chunks
from augury.generators.generator import Generator, Shape
from augury.generators.head_start import Principal, principal
from augury.generators.labels import class_labels, expect_pairs
from augury.generators.latent_prior import LatentPrior
from augury.generators.pixel_errors import deviation_error, edge_error, reconstruction_error
from augury.generators.private import DP, Private, without_batch_statistics
from augury.nets.vae import Decoder, Encoder
from augury.training import Run

DRAWS = 4  # codes per image in the membership score
START = -3.0  # log-variance of a code at first
GRAIN = 0x5EED  # sets the grain's random stream apart from the latents
RISE = 0.05  # share of the steps in which the learning rate rises


@dataclass(frozen=True, kw_only=True)
class CVAEConfig:
    """System 2's grid (encoder, decoder, latent) and what the loss consists of."""

    encoder: Literal[3, 6] = 3  # convolutions at 32 px; see nets/vae.py
    decoder: Literal[3, 6] = 3
    latent: int = 96  # the document: 256 or 512
    features: int = 40  # channels at half the image's resolution
    reconstruction: Literal["l1", "l2", "bce"] = "l1"  # summed over pixels
    beta: float = 0.1  # weight of the KL
    warm_up: float = 0.3  # share of the steps in which beta rises from 0
    free_bits: float = 0.0  # nats per latent dimension that cost nothing (Kingma 2016)
    sharpness: float = 0.5  # weight of the differences between neighbouring pixels
    head_start: bool = False  # a linear path in both networks that begins as principal components
    texture: float = 1.0  # share of the deviation from the decoder's mean that a sample has
    prior: Literal["mixture", "normal"] = "mixture"
    components: int = 25  # of each class's mixture, at most
    floor: float = 1e-3  # smallest variance of a component
    rate: float = 2e-3  # Adam's largest learning rate
    mirror: bool = False  # also learn every image left-right mirrored; only where an image has no side
    dp: DP | None = None  # differential privacy; None: none. It takes the normal prior and group norms

    def __post_init__(self) -> None:
        for name in ("latent", "features", "components"):
            if getattr(self, name) < 1:
                raise UserError(f"{name}={getattr(self, name)}: expected at least 1; leave it out for the default")
        for name in ("beta", "free_bits", "sharpness", "texture"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"{name}={getattr(self, name)}: expected a number from 0 (off); try the default")
        if not (0 <= self.warm_up <= 1 and self.floor > 0 and self.rate > 0):
            raise UserError(
                f"warm_up={self.warm_up}, floor={self.floor}, rate={self.rate}: expected a share of 0 to 1 and two"
                " numbers above 0; try the defaults"
            )
        if self.dp is not None:
            if self.head_start:
                raise Refused("head_start got true with dp.epsilon; expected false: principal components of the images "
                              "are not private; leave it out")  # fmt: skip
            object.__setattr__(self, "prior", "normal")

    @property
    def noisy_gradients(self) -> int:
        """How many a step takes of real images under `dp`."""
        return 1


class CVAE(Generator):
    """Conditional VAE over class labels."""

    method: ClassVar[str] = "cvae"
    revision: ClassVar[int] = 2

    def __init__(self, config: CVAEConfig, shape: Shape) -> None:
        self.config, self.shape = config, shape
        self.nets = build(config, shape).eval()

    def fit(self, train: Pairs, run: Run) -> Self:
        """Fit to the pairs in the steps of `run`; a finished run returns its result at once."""
        expect_pairs(train, self.shape)
        with run.seeded("networks"):
            self.nets = build(self.config, self.shape).to(run.device).train()
        if self.config.head_start:
            start(self.nets, principal(train, latent=self.config.latent, run=run))
        optimizer = torch.optim.Adam(self.nets.parameters(), self.config.rate, betas=(0.9, 0.99))
        run.offer(lambda condition, seed: self._as_it_stands(train, run).sample(condition, seed=seed))
        private = (
            None
            if self.config.dp is None
            else Private(train, self.config.dp, run, releases=run.steps * self.config.noisy_gradients)
        )
        for step in run.loop(nets=self.nets, optimizer=optimizer):
            optimizer.param_groups[0]["lr"] = self.config.rate * _one_cycle(step, run.steps)
            self._step(train, optimizer, run, private=private)
        self.nets.eval()
        if self.config.prior == "mixture":
            self._fit_prior(train, run)
        return self

    def _as_it_stands(self, train: Pairs, run: Run) -> Self:
        """A copy that can draw while this one is still in training."""
        now = copy.copy(self)
        now.nets = copy.deepcopy(self.nets).eval()
        if self.config.prior == "mixture":
            now._fit_prior(train, run)
        return now

    def _step(self, train: Pairs, optimizer: torch.optim.Optimizer, run: Run, *, private: Private | None) -> None:
        index_B = run.indices(len(train)) if private is None else private.draw()
        image_BCHW, condition = train[index_B]
        noise_BZ = run.normal(len(image_BCHW), self.config.latent)
        mirrored_B = torch.rand(len(image_BCHW), generator=run.random("mirror")) < 0.5 * self.config.mirror
        beta = self.config.beta * min(1.0, (run.step + 1) / max(1.0, self.config.warm_up * run.steps))

        def loss(image_BCHW: Tensor, label_B: Tensor, noise_BZ: Tensor) -> Tensor:
            reconstruction_B, kl_B = self._terms(image_BCHW, label_B, noise_BZ)
            mean: Tensor = (reconstruction_B + beta * kl_B).mean()
            return mean

        image_BCHW = torch.where(mirrored_B[:, None, None, None], image_BCHW.flip(3), image_BCHW)
        batch = (image_BCHW, condition.labels(), noise_BZ)
        if private is None:
            total = run.update(self.nets, optimizer, loss, *batch)
            run.log(loss=total, beta=beta, gradient=slope(self.nets))
        else:
            private.update(self.nets, optimizer, loss, index_B, *batch)
            run.log(beta=beta, gradient=slope(self.nets))  # the loss itself is not private

    def _terms(self, image_BCHW: Tensor, label_B: Tensor, noise_BZ: Tensor) -> tuple[Tensor, Tensor]:
        """reconstruction_B and kl_B of the negative ELBO (Sohn 2015, equation 4, negated)."""
        mean_BZ, logvar_BZ = self.nets["encoder"](image_BCHW, label_B)
        drawn_BCHW, deviation_BCHW = self.nets["decoder"](mean_BZ + noise_BZ * (0.5 * logvar_BZ).exp(), label_B)
        error_B = reconstruction_error(image_BCHW, drawn_BCHW, kind=self.config.reconstruction)
        if self.config.texture:
            error_B = error_B + deviation_error(image_BCHW - drawn_BCHW.detach(), deviation_BCHW)
        if self.config.sharpness:
            error_B = error_B + self.config.sharpness * edge_error(image_BCHW, drawn_BCHW)
        return error_B, kl_divergence(mean_BZ, logvar_BZ, free=self.config.free_bits)

    def _fit_prior(self, train: Pairs, run: Run) -> None:
        """Codes are drawn from their posteriors, not taken at its means: the decoder knows the spread between them."""
        random, codes = run.random("codes"), []
        for part in chunks(len(train)):
            image_BCHW, condition = train[torch.arange(part.start, part.stop)]
            mean_BZ, logvar_BZ = self._code(image_BCHW, condition.labels())
            codes.append(mean_BZ + torch.randn(mean_BZ.shape, generator=random) * (0.5 * logvar_BZ).exp())
        prior: LatentPrior = self.nets["prior"]  # type: ignore[assignment]
        prior.fit(torch.cat(codes), train.label_N, floor=self.config.floor, seed=run.seed % 2**32)

    @torch.no_grad()
    def _code(self, image_BCHW: Tensor, label_B: Tensor) -> tuple[Tensor, Tensor]:
        mean_BZ, logvar_BZ = self.nets["encoder"](image_BCHW.to(self.device()), label_B.to(self.device()))
        return mean_BZ.float().cpu(), logvar_BZ.float().cpu()

    @torch.no_grad()
    def sample(self, condition: Condition, *, seed: int) -> Tensor:
        """One image_CHW in [-1, 1] per label."""
        label_N = class_labels(condition, self.shape.classes).cpu()
        prior: LatentPrior = self.nets["prior"]  # type: ignore[assignment]
        latent_NZ = prior.draw(label_N, seed=seed)
        self.nets.eval()
        random = torch.Generator().manual_seed(seed ^ GRAIN)
        return torch.cat([self._draw(latent_NZ[i], label_N[i], random=random) for i in chunks(len(label_N))])

    def _draw(self, latent_BZ: Tensor, label_B: Tensor, *, random: torch.Generator) -> Tensor:
        """Draws of p(x | z): a Gaussian about the decoder's mean."""
        device = self.device()
        mean_BCHW, deviation_BCHW = self.nets["decoder"](latent_BZ.to(device), label_B.to(device))
        grain_BCHW = torch.randn(mean_BCHW.shape, generator=random)
        # A Gaussian's mean absolute deviation is sqrt(2 / pi) of its standard deviation.
        sd_BCHW = self.config.texture * deviation_BCHW.float().cpu() * math.sqrt(math.pi / 2)
        image_BCHW: Tensor = mean_BCHW.float().cpu() + sd_BCHW * grain_BCHW
        return image_BCHW.clamp_(-1.0, 1.0)

    @torch.no_grad()
    def membership(self, image_BCHW: Tensor, condition: Condition, *, seed: int) -> Tensor:
        """The objective that it was fitted by, negated: ELBO with beta for the KL, mean over a few codes."""
        label_N = class_labels(condition, self.shape.classes).cpu()
        random = torch.Generator().manual_seed(seed)
        self.nets.eval()
        scores = []
        for part in chunks(len(label_N)):
            noise_DBZ = torch.randn(DRAWS, len(label_N[part]), self.config.latent, generator=random)
            elbo_DB = [self._elbo(image_BCHW[part], label_N[part], noise_BZ) for noise_BZ in noise_DBZ]
            scores.append(torch.stack(elbo_DB).mean(0))
        return torch.cat(scores)

    def _elbo(self, image_BCHW: Tensor, label_B: Tensor, noise_BZ: Tensor) -> Tensor:
        device = self.device()
        reconstruction_B, kl_B = self._terms(image_BCHW.to(device), label_B.to(device), noise_BZ.to(device))
        elbo_B: Tensor = -(reconstruction_B + self.config.beta * kl_B)
        return elbo_B.float().cpu()


def build(config: CVAEConfig, shape: Shape) -> nn.ModuleDict:
    """`encoder`, `decoder` and `prior` for pictures of this shape; UserError where the sides do not fit."""
    sides = {"channels": shape.channels, "height": shape.height, "width": shape.width, "classes": shape.classes}
    try:
        encoder = Encoder(
            **sides,
            depth=config.encoder,
            latent=config.latent,
            features=config.features,
            linear=config.head_start,
        )
    except ValueError as error:
        raise UserError(f"{error}; prepare the images at such a size") from error
    decoder = Decoder(
        **sides,
        depth=config.decoder,
        latent=config.latent,
        features=config.features,
        linear=config.head_start,
    )
    components = config.components if config.prior == "mixture" else 1
    prior = LatentPrior(classes=shape.classes, components=components, latent=config.latent)
    nets = nn.ModuleDict({"encoder": encoder, "decoder": decoder})
    if config.dp is not None:
        without_batch_statistics(nets)
    # Channels last in memory: a third faster on a CPU, the same numbers.
    nets = nets.to(memory_format=torch.channels_last)
    nets["prior"] = prior
    return nets


@torch.no_grad()
def start(nets: nn.ModuleDict, principal: Principal) -> None:
    """Set the linear paths to the principal components and quieten the convolutions beside them."""
    encoder, decoder = nets["encoder"], nets["decoder"]
    principal.aim_encoder(encoder.linear)  # type: ignore[arg-type]
    principal.aim_decoder(decoder.linear)  # type: ignore[arg-type]
    for layer in (encoder.dense, list(decoder.last.modules())[-1]):  # type: ignore[union-attr]
        layer.weight.mul_(0.1)  # type: ignore[union-attr,operator]
        nn.init.zeros_(layer.bias)  # type: ignore[union-attr,arg-type]
    nn.init.constant_(encoder.dense.bias[len(principal.sd_Z) :], START)  # type: ignore[index,union-attr]


def kl_divergence(mean_BZ: Tensor, logvar_BZ: Tensor, *, free: float) -> Tensor:
    """kl_B from N(mean, exp(logvar)) to N(0, 1) (Kingma and Welling 2014, appendix B); `free` nats cost nothing."""
    mean_BZ, logvar_BZ = mean_BZ.float(), logvar_BZ.float()
    kl_BZ = 0.5 * (mean_BZ.square() + logvar_BZ.exp() - 1 - logvar_BZ)
    return F.relu(kl_BZ - free).sum(1)


def _one_cycle(step: int, steps: int) -> float:
    """A short linear rise, then a cosine down to a hundredth, as a share of the largest rate."""
    rise = max(1.0, RISE * steps)
    done = min(1.0, max(0.0, (step - rise) / max(1.0, steps - rise)))
    return min(1.0, (step + 1) / rise) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))
