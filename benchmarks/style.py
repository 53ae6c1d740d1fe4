"""Speed of style training and inference compared with the original training loop.

    python benchmarks/style.py [--steps N] [--size H W] [--threads 1]

The baseline re-implements few-shot patch-based training (Texler et al. 2020): pixel, VGG-19 and adversarial losses, two
optimisers, a generator pass for each of them, and the second strided convolution computed twice per pass. Our step
needs one pass. The script asserts that both give equal losses with the same weights and patches before it times them.
VGG's weights are random, because they do not change the speed.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from dreaming.losses.style import adversarial_loss, discriminator_loss, feature_distance, pixel_loss
from dreaming.models.style import StyleModule
from dreaming.networks.fast_generator import FastGenerator
from dreaming.networks.patch_discriminator import PatchDiscriminator
from dreaming.networks.style_generator import StyleGenerator, _double
from dreaming.networks.vgg import Vgg19Features

WEIGHTS = {"pixel": 4.0, "adversarial": 0.5, "perceptual": 6.0}
ADAM = partial(torch.optim.Adam, betas=(0.9, 0.999), weight_decay=1e-5)


class OriginalGenerator(StyleGenerator):
    """The original generator, which computes the second strided convolution twice: also for the skip connection."""

    def forward(self, frame: Tensor) -> Tensor:
        """Map (B, channels, H, W) in -1..1 to (B, 3, H, W) in -1..1."""
        full = self.encode_full(frame)
        half = self.encode_half(full)
        deep = self.blocks(self.encode_quarter(half))
        skipped = self.encode_quarter(half)
        rising = self.decode_half(_double(torch.cat((deep, skipped), dim=1), like=half))
        rising = self.decode_full(_double(torch.cat((rising, half), dim=1), like=full))
        image: Tensor = self.colour(self.smooth(self.merge(torch.cat((rising, full, frame), dim=1))))
        return image


class Original:
    """The original training loop."""

    def __init__(self, generator: nn.Module, discriminator: PatchDiscriminator, vgg: Vgg19Features, lr: float) -> None:
        self.generator, self.discriminator, self.vgg = generator, discriminator, vgg
        self.generator_optimizer = ADAM(generator.parameters(), lr=lr)
        self.discriminator_optimizer = ADAM(discriminator.parameters(), lr=lr)

    def step(self, frame: Tensor, styled: Tensor, other: Tensor) -> dict[str, float]:
        """One step of each optimiser; both losses are computed before either step."""
        self.discriminator_optimizer.zero_grad()
        generated = self.generator(frame).detach()
        fake, genuine = self.discriminator(generated)[0], self.discriminator(other)[0]
        discriminator = discriminator_loss(genuine, fake)
        discriminator.backward()
        self.generator_optimizer.zero_grad()
        generated = self.generator(frame)
        kept = [parameter.grad for parameter in self.discriminator.parameters()]
        terms = {
            "pixel": pixel_loss(generated, styled),
            "adversarial": adversarial_loss(self.discriminator(generated)[0]),
            "perceptual": feature_distance(self.vgg(generated), self.vgg(styled)),
        }
        torch.stack([WEIGHTS[name] * term for name, term in terms.items()]).sum().backward(
            inputs=list(self.generator.parameters())
        )
        for parameter, gradient in zip(self.discriminator.parameters(), kept, strict=True):
            parameter.grad = gradient
        self.discriminator_optimizer.step()
        self.generator_optimizer.step()
        return {name: float(term.detach()) for name, term in {**terms, "discriminator": discriminator}.items()}


class Ours:
    """The training step of ``StyleModule`` without a Trainer."""

    def __init__(self, module: StyleModule, vgg: Vgg19Features) -> None:
        self.module, self.optimizer = module.train(), module.configure_optimizers()
        module._vgg = [vgg]

    def step(self, frame: Tensor, styled: Tensor, other: Tensor) -> dict[str, float]:
        """One step with a single generator pass."""
        module = self.module
        generated = module(frame)
        terms = module._generator_terms(generated, styled)
        loss = torch.stack([module.loss_weights[name] * term for name, term in terms.items()]).sum()
        if module.discriminator is not None:
            terms["discriminator"] = module._discriminator_loss(generated.detach(), other)
            loss = loss + terms["discriminator"]
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {name: float(term.detach()) for name, term in terms.items()}


def cpu_seconds(run: Callable[[], object], times: int) -> float:
    """Mean CPU time of a call, after a warm-up call."""
    run()
    start = time.process_time()
    for _ in range(times):
        run()
    return (time.process_time() - start) / times


def patches(count: int, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Random frames, styled and other patches in -1..1."""
    random = torch.Generator().manual_seed(0)
    frame, styled, other = (torch.rand(count, 3, side, side, generator=random) * 2 - 1 for _ in range(3))
    return frame, styled, other


def random_vgg() -> Vgg19Features:
    """Untrained VGG-19 up to its first layer of 128 channels, as in the original."""
    torch.manual_seed(0)
    convolutions = {0: nn.Conv2d(3, 64, 3), 2: nn.Conv2d(64, 64, 3), 5: nn.Conv2d(64, 128, 3)}
    state = {
        f"features.{index}.{name}": value
        for index, convolution in convolutions.items()
        for name, value in convolution.state_dict().items()
    }
    with tempfile.TemporaryDirectory() as folder:
        torch.save(state, Path(folder) / "vgg.pth")
        return Vgg19Features(weights=Path(folder) / "vgg.pth", sha256=None)


def modules() -> tuple[Original, Ours, Ours]:
    """The original and our step with equal weights, and our step with the fast generator."""
    made = []
    vgg = random_vgg()
    for generator, weights, lr in (
        (StyleGenerator, WEIGHTS, 4e-4),
        (FastGenerator, {"pixel": 4.0, "structure": 1.0}, 1e-3),
    ):
        torch.manual_seed(0)
        module = StyleModule(
            generator=generator, discriminator=PatchDiscriminator, optimizer=ADAM, lr=lr, loss_weights=weights
        )
        made.append(Ours(module, vgg))
    original = Original(OriginalGenerator(), PatchDiscriminator(), vgg, lr=4e-4)
    original.generator.load_state_dict(made[0].module.generator.state_dict())
    assert made[0].module.discriminator is not None
    original.discriminator.load_state_dict(made[0].module.discriminator.state_dict())
    return original, made[0], made[1]


def check_equal_losses(original: Original, ours: Ours, steps: int = 2) -> None:
    """Assert that both give the same losses for the same patches, in float32."""
    for number in range(steps):
        random = torch.Generator().manual_seed(number)
        batch = [torch.rand(8, 3, 32, 32, generator=random) * 2 - 1 for _ in range(3)]
        expected, found = original.step(*batch), ours.step(*batch)
        for name, value in expected.items():
            assert abs(found[name] - value) < 2e-3 * max(1.0, abs(value)), (number, name, found[name], value)
    print(f"losses of {steps} steps agree:", {name: round(value, 5) for name, value in found.items()})


def main() -> None:
    """Print seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=3, help="timed steps")
    parser.add_argument("--size", type=int, nargs=2, default=(480, 854), help="height and width of a frame")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    check_equal_losses(*modules()[:2])
    original, ours, fast = modules()
    batch = patches(40, 32)
    plain = cpu_seconds(lambda: original.step(*batch), arguments.steps)
    print(f"original loop, float32: {plain:.2f} CPU-s a step of 40 patches of 32x32")
    for half in (False, True):
        name = "bfloat16" if half else "float32"
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            shared = cpu_seconds(lambda: ours.step(*batch), arguments.steps)
            small = cpu_seconds(lambda: fast.step(*patches(10, 64)), arguments.steps)
        print(f"generator=fspbt, {name}: {shared:.2f} CPU-s, {plain / shared:.2f} times the steps")
        print(f"generator=fast, {name}: {small:.3f} CPU-s for as many pixels, {plain / small:.1f} times the steps")
    frame = torch.rand(1, 3, *arguments.size) * 2 - 1
    with torch.no_grad():
        first = cpu_seconds(lambda: original.generator.eval()(frame), 1)
    print(f"one frame, original network, float32: {first:.2f} CPU-s")
    for half in (False, True):
        name = "bfloat16" if half else "float32"
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            slow = cpu_seconds(lambda: ours.module.stylise(frame), 1)
            quick = cpu_seconds(lambda: fast.module.stylise(frame), 3)
        print(
            f"one frame, {name}: fspbt {slow:.2f} CPU-s, fast {quick:.3f}, {slow / quick:.1f} times cheaper, "
            f"and {first / quick:.1f} times cheaper than the original in float32"
        )


if __name__ == "__main__":
    main()
