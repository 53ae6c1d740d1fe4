"""Speed of training and inference on a GPU (or, reduced, on the CPU), one table row at a time.

    python benchmarks/gpu.py [--frames DIR --keyframes DIR] [--minutes 5] [--reduced] [--out FILE.md]

Needs only PyTorch, pytorch-lightning, torchmetrics, NumPy, SciPy, scikit-learn and OpenCV. Every row is printed, and
appended to --out, as soon as it is measured, so that an interrupted run is still useful. The sections:

- training: steps per second of ``StyleModule`` under a Trainer, with generator=fast and fspbt, per precision and memory
  layout, with ``torch.compile`` and with CUDA graphs; the baseline is the original authors' loop (benchmarks/style.py);
- quality: seconds of training until SSIM .80, .85 and the final value, on frames that are not trained on;
- inference: frames per second at four sizes, single and batched, with and without overlapped copies;
- segmentation: UNet training steps and predicted frames per second;
- profile: share of kernels, copies and launches in the wall time of a training step.

Without --frames and --keyframes the built-in demo clip is drawn; its true stylised frames score the quality section.
With them, the last keyframe is held out for scoring where there are two or more.
"""

import argparse
import logging
import platform
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytorch_lightning as pl
import torch
from gpu_stopwatch import Machine, QualityClock, Report, StepTimer, trainer
from numpy.typing import NDArray
from style import ADAM, Original, OriginalGenerator, random_vgg
from torch import Tensor

from dreaming.clip.annotations import Keyframes
from dreaming.data.keyframes import KeyframesDataModule
from dreaming.demo.painter import paint
from dreaming.demo.scene import DemoScene
from dreaming.imaging.colour_statistics import NEUTRAL
from dreaming.models.segmentation import SegmentationModule
from dreaming.models.style import StyleModule
from dreaming.networks.fast_generator import FastGenerator
from dreaming.networks.patch_discriminator import PatchDiscriminator
from dreaming.networks.style_generator import StyleGenerator
from dreaming.networks.unet import UNet

SIZES = {"512x512": (512, 512), "854x480": (480, 854), "1080p": (1080, 1920), "4K": (2160, 3840)}
GENERATORS: Mapping[str, dict[str, Any]] = {
    "fast": {
        "generator": FastGenerator,
        "lr": 1e-3,
        "loss_weights": {"pixel": 4.0, "structure": 1.0},
        "patch": 96,
        "batch_size": 4,
    },
    "fspbt": {
        "generator": StyleGenerator,
        "lr": 4e-4,
        "loss_weights": {"pixel": 4.0, "adversarial": 0.5, "matching": 1.0},
        "patch": 32,
        "batch_size": 40,
    },
}
"""As in conf/generator/, which needs Hydra to be read; ``pixel_steps`` keep their default."""
MODES: Mapping[str, dict[str, Any]] = {
    "fp32": {"precision": "32-true", "channels_last": False},
    "fp32 channels_last": {"precision": "32-true"},
    "bf16 channels_last": {"precision": "bf16-mixed"},
    "fp16 channels_last": {"precision": "16-mixed"},
    "bf16 compiled": {"precision": "bf16-mixed", "compile_mode": "default"},
    "bf16 CUDA graphs": {"precision": "bf16-mixed", "compile_mode": "reduce-overhead"},
}
FEATURES = 22
"""Feature channels of the default UNet."""


def to_tensor(images: NDArray[np.uint8]) -> Tensor:
    """(B, 3, H, W) in -1..1 from (B, H, W, 3) uint8."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def style_module(machine: Machine, name: str) -> StyleModule:
    """A StyleModule as conf/generator/<name>.yaml describes it."""
    settings = GENERATORS[name]
    small = {"fast": {"pixel_steps": 2, "width": 8}, "fspbt": {"blocks": 1}}[name] if machine.reduced else {}
    torch.manual_seed(0)
    return StyleModule(
        generator=partial(settings["generator"], **small),
        discriminator=PatchDiscriminator,
        optimizer=ADAM,
        lr=settings["lr"],
        loss_weights=settings["loss_weights"],
    )


def train_style(
    machine: Machine, name: str, keyframes: Keyframes, mode: Mapping[str, Any], steps: int, *callbacks: pl.Callback
) -> StyleModule:
    """Train for a number of steps."""
    settings = dict(mode)
    module = style_module(machine, name)
    if not settings.pop("channels_last", True):
        module.layout = torch.contiguous_format
        module.generator.to(memory_format=module.layout)
    if "compile_mode" in settings:
        module.generator.compile(mode=settings["compile_mode"])
    data = KeyframesDataModule(
        keyframes,
        patch=GENERATORS[name]["patch"],
        batch_size=2 if machine.reduced else GENERATORS[name]["batch_size"],
        steps_per_epoch=10**6,
    )
    trainer(machine, settings["precision"], steps, list(callbacks)).fit(module, data)
    return module


def measure_training(report: Report, machine: Machine, keyframes: Keyframes) -> None:
    """Steps per second of each generator in each mode, and of the original loop."""
    warm_up, steps = (1, 3) if machine.reduced else (20, 120)
    modes = {"fp32": MODES["fp32"], "bf16 channels_last": MODES["bf16 channels_last"]} if machine.reduced else MODES

    def original() -> dict[str, float]:
        device = machine.device
        loop = Original(OriginalGenerator().to(device), PatchDiscriminator().to(device), random_vgg().to(device), 4e-4)
        batch = [(torch.rand(2 if machine.reduced else 40, 3, 32, 32) * 2 - 1).to(device) for _ in range(3)]
        return {"steps/s": 1 / machine.seconds(lambda: loop.step(*batch), 1 if machine.reduced else 30)}

    report.add("training", "original loop, 40 patches of 32x32, fp32", original)
    for name in GENERATORS:
        for title, mode in modes.items():

            def measure(name: str = name, mode: Mapping[str, Any] = mode) -> dict[str, float]:
                timer = StepTimer(machine, warm_up)
                train_style(machine, name, keyframes, mode, warm_up + steps, timer)
                return {"steps/s": timer.rate, **machine.peak()}

            report.add("training", f"{name}, {title}", measure)


def measure_quality(report: Report, machine: Machine, keyframes: Keyframes, frames: Tensor, truth: Tensor) -> None:
    """Seconds until the stylised held-out frames reach a similarity to the painter's."""
    steps, every = (6, 3) if machine.reduced else (3000, 25)
    for name in GENERATORS:

        def measure(name: str = name) -> dict[str, float]:
            clock = QualityClock(frames, truth, every)
            train_style(machine, name, keyframes, MODES["bf16 channels_last"], steps, clock)
            final = clock.curve[-1][1]
            goals = {"SSIM .80": 0.80, "SSIM .85": 0.85, f"the final SSIM {final:.3f} less .002": final - 0.002}
            reached = {goal: [s for s, score in clock.curve if score >= least] for goal, least in goals.items()}
            return {f"s to {goal}": seconds[0] if seconds else float("nan") for goal, seconds in reached.items()}

        report.add("quality", f"{name}, bf16", measure)


def measure_inference(report: Report, machine: Machine) -> None:
    """Frames per second, with the frames on the device and with copies from and to pinned memory."""
    sizes = {"96x64": (64, 96)} if machine.reduced else SIZES
    for name in GENERATORS:
        module = style_module(machine, name).eval().to(machine.device)
        for title, size in sizes.items():
            for batch in (1, 4):
                frame = (torch.rand(batch, 3, *size) * 2 - 1).to(machine.device)
                times = 1 if machine.reduced else 10

                def on_device(
                    module: StyleModule = module, frame: Tensor = frame, times: int = times
                ) -> dict[str, float]:
                    return {
                        "frames/s": len(frame) / machine.seconds(lambda: module.stylise(frame), times),
                        **machine.peak(),
                    }

                report.add("inference", f"{name}, {title}, batch {batch}", on_device)
            report.add(
                "inference", f"{name}, {title}, with copies", partial(streamed, machine, module, size, overlap=False)
            )
            report.add(
                "inference",
                f"{name}, {title}, overlapped copies",
                partial(streamed, machine, module, size, overlap=True),
            )


def streamed(machine: Machine, module: StyleModule, size: tuple[int, int], *, overlap: bool) -> dict[str, float]:
    """uint8 frames from host memory to uint8 frames in host memory; overlapped: pinned, on a stream of their own."""
    count = 2 if machine.reduced else 24
    frames = [torch.randint(0, 255, (1, 3, *size), dtype=torch.uint8) for _ in range(2)]
    overlap = overlap and machine.is_gpu
    if overlap:
        frames = [frame.pin_memory() for frame in frames]
    results = [frame.clone().pin_memory() if overlap else frame.clone() for frame in frames]
    copies = torch.cuda.Stream() if overlap else None

    def fetch(index: int) -> Tensor:
        if copies is None:
            return frames[index % 2].to(machine.device)
        with torch.cuda.stream(copies):
            return frames[index % 2].to(machine.device, non_blocking=True)

    def run() -> None:
        following = fetch(0)
        for index in range(count):
            if copies is not None:
                torch.cuda.current_stream().wait_stream(copies)
                following.record_stream(torch.cuda.current_stream())
            frame = following
            if index + 1 < count:
                following = fetch(index + 1)
            made = module.stylise(frame.float() / 127.5 - 1)
            bytes_ = ((made + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
            results[index % 2].copy_(bytes_, non_blocking=overlap)

    return {"frames/s": count / machine.seconds(run, 1, warm_up=1)}


def measure_segmentation(report: Report, machine: Machine) -> None:
    """The default UNet: training steps on random crops, and prediction of 854x480 frames at its working size."""
    side, batch = (32, 2) if machine.reduced else (176, 4)
    size = (64, 96) if machine.reduced else SIZES["854x480"]
    times = 2 if machine.reduced else 50

    def module() -> SegmentationModule:
        torch.manual_seed(0)
        return SegmentationModule(
            network=UNet, optimizer=partial(torch.optim.AdamW, weight_decay=0.01), lr=4e-3,
            loss_weights={"bce": 1.0, "dice": 1.0}, statistics=NEUTRAL, short_side=min(size[0], 180), features=FEATURES,
        )  # fmt: skip

    def training() -> dict[str, float]:
        model = module().to(machine.device)
        optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
        image, mask = torch.rand(batch, 3, side, side), torch.rand(batch, 1, side, side).round()
        features, places = torch.rand(batch, FEATURES, side, side), torch.rand(batch, 2, side, side)
        image, mask, features, places = (t.to(machine.device) for t in (image, mask, features, places))

        def step() -> None:
            logits = model.network(torch.cat((image, features), dim=1), places)
            optimizer.zero_grad()
            torch.nn.functional.binary_cross_entropy_with_logits(logits, mask).backward()
            optimizer.step()

        return {"steps/s": 1 / machine.seconds(step, times), **machine.peak()}

    def prediction() -> dict[str, float]:
        model = module().eval().to(machine.device)
        frame = torch.rand(1, 3, *size, device=machine.device)
        features = torch.rand(1, FEATURES, *size, device=machine.device)
        return {"frames/s": 1 / machine.seconds(lambda: model.predict_probability(frame, features), times)}

    report.add("segmentation", f"UNet training, {batch} crops of {side}", training)
    report.add("segmentation", "UNet prediction", prediction)


def measure_profile(report: Report, machine: Machine, keyframes: Keyframes) -> None:
    """Where the time of a training step goes, by the profiler: device kernels, copies, and launches on the host."""
    steps = 3 if machine.reduced else 30
    activities = [torch.profiler.ProfilerActivity.CPU]
    if machine.is_gpu:
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    for name in GENERATORS:

        def measure(name: str = name) -> dict[str, float]:
            with torch.profiler.profile(activities=activities) as profiler:
                start = time.perf_counter()
                train_style(machine, name, keyframes, MODES["bf16 channels_last"], steps)
                wall = time.perf_counter() - start
            kernels = copies = launches = 0.0
            for event in profiler.key_averages():
                device = event.self_device_time_total / 1e6
                copies += device if "memcpy" in event.key.lower() else 0.0
                kernels += 0.0 if "memcpy" in event.key.lower() else device
                launches += event.self_cpu_time_total / 1e6 if "launch" in event.key.lower() else 0.0
            if not machine.is_gpu:
                return {"share in operators": sum(e.self_cpu_time_total for e in profiler.key_averages()) / 1e6 / wall}
            return {
                f"share in {k}": v / wall
                for k, v in {"kernels": kernels, "copies": copies, "launches": launches}.items()
            }

        report.add("profile", f"{name}, bf16, warm start included", measure)


def read(folder: Path) -> dict[str, NDArray[np.uint8]]:
    """RGB pictures of a folder by name."""
    images = {path.stem: cv2.imread(str(path), cv2.IMREAD_COLOR) for path in sorted(folder.iterdir())}
    return {stem: cv2.cvtColor(image, cv2.COLOR_BGR2RGB) for stem, image in images.items() if image is not None}


def material(frames: Path | None, keyframes: Path | None, *, reduced: bool) -> tuple[Keyframes, Tensor, Tensor]:
    """Keyframes to train on, and held-out frames with their true stylised versions, in -1..1."""
    if frames is not None and keyframes is not None:
        styled = read(keyframes)
        sources = {stem: image for stem, image in read(frames).items() if stem in styled}
        held = list(sources)[-1:]
        trained = [stem for stem in sources if stem not in held] or held
    else:
        scene = DemoScene(height=96, width=160, frames=12) if reduced else DemoScene(height=512, width=512)
        chosen = [int(share * (scene.frames - 1)) for share in (0.25, 0.75, 0.0, 0.5, 1.0)]
        sources = {str(index): scene.frame(index)[0] for index in chosen}
        styled = {stem: paint(image) for stem, image in sources.items()}
        trained, held = list(sources)[:2], list(sources)[2:]
    images, painted = (np.stack([pictures[stem] for stem in trained]) for pictures in (sources, styled))
    known = Keyframes(tuple(trained), images, painted, np.ones(images.shape[:3], dtype=bool))
    return known, *(to_tensor(np.stack([pictures[stem] for stem in held])) for pictures in (sources, styled))


def main(arguments: list[str] | None = None) -> Report:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=Path, help="folder of frames")
    parser.add_argument("--keyframes", type=Path, help="folder of painted frames of the same names")
    parser.add_argument("--minutes", type=float, default=5.0, help="no row is begun later")
    parser.add_argument("--reduced", action="store_true", help="small sizes and few steps, on any device")
    parser.add_argument("--out", type=Path, help="Markdown file that rows are appended to")
    given = parser.parse_args(arguments)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    machine = Machine(torch.device("cuda" if torch.cuda.is_available() else "cpu"), given.reduced)
    if not machine.is_gpu and not given.reduced:
        parser.error("no CUDA device: say --reduced to try the script on the CPU")
    report = Report(time.monotonic() + 60 * given.minutes, given.out)
    name = torch.cuda.get_device_name() if machine.is_gpu else platform.processor() or platform.machine()
    report.line(f"{name}, torch {torch.__version__}, CUDA {torch.version.cuda}, Lightning {pl.__version__}\n")
    report.line("| section | setting | value | unit |\n| --- | --- | --- | --- |")
    keyframes, frames, truth = material(given.frames, given.keyframes, reduced=given.reduced)
    measure_training(report, machine, keyframes)
    measure_quality(report, machine, keyframes, frames, truth)
    measure_inference(report, machine)
    measure_segmentation(report, machine)
    measure_profile(report, machine, keyframes)
    return report


if __name__ == "__main__":
    main()
