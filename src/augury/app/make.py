"""Commands that make something: fit, sample, predict, phantom."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from augury.app.config import configure, split_settings
from augury.app.options import (
    AsJson,
    Config,
    Data,
    Device,
    Layout,
    Modality,
    NoPatients,
    Quiet,
    Seed,
    Settings,
    Size,
    Slices,
    device_of,
    size_of,
)
from augury.app.talk import talk
from augury.errors import UserError

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A folder made by augury fit, or a study's best/.")]

Holdout = Annotated[
    str | None,
    typer.Option(
        "--holdout",
        metavar="SHARE|DATA",
        help="A share of the patients, such as 0.2, or another set, which a generator is not fitted to: it is watched "
        "for copies of its training images.",
    ),
]

EdgesOption = Annotated[
    str | None,
    typer.Option(
        "--edges",
        metavar="gradient|FILE",
        help="What finds edges: gradient, or a file of HED's weights; else HED where its weights lie ready.",
    ),
]


def fit(
    method: Annotated[
        str, typer.Argument(metavar="METHOD", help="cgan, wgan_gp, cvae, flow, classifier or segmenter.")
    ],
    data: Data,
    *,
    out: Annotated[Path, typer.Option("--out", metavar="MODEL", help="The model's folder.")],
    steps: Annotated[
        int | None, typer.Option(min=1, help="Optimiser steps; the method's own number if absent.")
    ] = None,
    batch: Annotated[int | None, typer.Option(min=2, help="Images a step; the method's own number if absent.")] = None,
    size: Size = None,
    seed: Seed = 0,
    device: Device = "cpu",
    no_patients: NoPatients = False,
    layout: Layout = None,
    slices: Slices = None,
    modality: Modality = None,
    holdout: Holdout = None,
    stop_at_memorisation: Annotated[
        bool, typer.Option("--stop-at-memorisation", help="One half of the held-out patients may end the fit.")
    ] = False,
    condition: Annotated[
        str,
        typer.Option(metavar="A,B", help="What flow is told: label, prompt, edges, mask, boxes; other methods: label."),
    ] = "label",
    init: Annotated[
        Path | None, typer.Option("--init", metavar="MODEL", help="A fitted flow to start from, of the same network.")
    ] = None,
    edges: EdgesOption = None,
    no_contour: Annotated[
        bool, typer.Option("--no-contour", help="Leave the masks' contours out of the edges.")
    ] = False,
    config: Config = None,
    settings: Settings = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Fit one generator or predictor. Interrupted, the same command goes on where it stopped."""
    pixels = None if size is None else size_of(size, default=(0, 0))
    with talk(as_json=as_json, quiet=quiet) as voice:
        voice.note(f"fitting {method} to {data}")
        from augury.studies.material import Fit
        from augury.studies.single import config_of, fit_method
        from augury.studies.told import parsed

        own, preparation = split_settings(settings or [])
        asked = Fit(
            method=method, data=data, out=out, config=configure(config_of(method), own, file=config), size=pixels,
            seed=seed, steps=steps, batch=batch, device=device_of(device), no_patients=no_patients, modality=modality,
            preparation=preparation, layout=layout, slices=slices, holdout=holdout,
            stop_at_memorisation=stop_at_memorisation, condition=parsed(condition), edges=edges,
            contour=not no_contour, init=init,
        )  # fmt: skip
        facts = fit_method(asked, progress=voice.progress, note=voice.note)
        voice.result(facts, f"{method} fitted to {facts['images']} images: {out}")


def sample(
    model: Model,
    *,
    out: Annotated[Path, typer.Option("--out", metavar="SET", help="The set's folder: a manifest.csv and images/.")],
    n: Annotated[int, typer.Option("-n", min=1, max=1_000_000, help="How many images.")],
    label: Annotated[str | None, typer.Option(help="Of this class alone; else as frequent as in training.")] = None,
    prompt: Annotated[str | None, typer.Option(help="Words for all images, of those that the model knows.")] = None,
    like: Annotated[
        str | None,
        typer.Option("--like", metavar="DATA", help="Real images whose edges, masks or boxes steer the drawn ones."),
    ] = None,
    edit: Annotated[
        str | None,
        typer.Option(
            "--edit",
            metavar="A,B+C",
            help="What is done to those maps, image by image in turn: none, mirror, rotate, move, swap, new; + joins.",
        ),
    ] = None,
    edges: EdgesOption = None,
    guidance: Annotated[
        float | None, typer.Option(help="1 follows the condition as learnt, more exaggerates it, 0 ignores it.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Sampling steps; the sampler's own number if absent.")] = None,
    sampler: Annotated[
        str | None, typer.Option(help="heun, euler or student; ddim or ancestral of a model of objective=ddpm.")
    ] = None,
    layout: Layout = None,
    slices: Slices = None,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Draw synthetic images as a data set of their own."""
    with talk(as_json=as_json, quiet=quiet) as voice:
        from augury.studies.drawing import Wanted, sample_model

        wanted = Wanted(
            n=n, label=label, prompt=prompt, like=like, edit=edit, edges=edges, guidance=guidance, steps=steps,
            sampler=sampler, layout=layout, slices=slices, seed=seed,
        )  # fmt: skip
        facts = sample_model(model, wanted, out=out, device=device_of(device), progress=voice.progress, note=voice.note)
        voice.result(facts, f"{n} synthetic images: {out}")


def predict(
    model: Model,
    data: Data,
    *,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The CSV to write.")],
    layout: Layout = None,
    slices: Slices = None,
    device: Device = "cpu",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Probabilities, or masks, for new images."""
    with talk(as_json=as_json, quiet=quiet) as voice:
        from augury.studies.predicting import predict_model

        facts = predict_model(
            model,
            data,
            out=out,
            layout=layout,
            slices=slices,
            device=device_of(device),
            progress=voice.progress,
            note=voice.note,
        )
        voice.result(facts, f"predictions for {facts['images']} images: {out}")


def phantom(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="brain, breast, fundus or amd.")],
    *,
    out: Annotated[Path, typer.Option("--out", metavar="SET", help="The set's folder.")],
    n: Annotated[int, typer.Option("-n", min=1, max=1_000_000, help="How many images.")],
    size: Size = None,
    seed: Seed = 0,
    config: Config = None,
    settings: Settings = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Draw images with exactly known truth: labels, patients, lesion masks."""
    with talk(as_json=as_json, quiet=quiet) as voice:
        from augury.data.phantoms import PHANTOMS, batches, write

        if kind not in PHANTOMS:
            raise UserError(f"there is no phantom {kind!r}; expected one of {', '.join(PHANTOMS)}; correct the name")
        height, width = size_of(size, default=(0, 0))
        if height != width:
            raise UserError(f"--size got {size}; expected one number, since phantoms are square; try --size {height}")
        sized = [f"size={height}"] if size is not None else []
        population = configure(PHANTOMS[kind], [*sized, *(settings or [])], file=config)
        write(batches(population, n=n, seed=seed, progress=voice.progress.stage("drawing")), out)
        facts = {"set": str(out), "images": n, "patients": math.ceil(n / population.images_per_patient)}
        voice.result(facts, f"{n} phantom images of {facts['patients']} patients: {out}")
