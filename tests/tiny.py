"""Overrides that make everything small, for tests that run the programs or build what they build."""

MACHINE = ("threads=1", "logger=csv", "trainer=cpu")
DATA = (
    "data.segmentation.crop=32",
    "data.segmentation.batch_size=2",
    "data.keyframes.batch_size=4",
    "data.keyframes.patch=16",
)
NETWORKS = (
    "model.unet.module.network.width=2",
    "model.unet.module.network.depth=2",
    "model.cnn.module.network.num_layers=2",
    "model.cnn.module.network.intermediate_channels=2",
    "generator.network.width=4",
    "generator.network.pixel_steps=2",
)


def overrides(max_steps, validate_every):
    """All that makes a run of ``dreaming`` small, but the choice of a masker."""
    budgets = (
        f"model.{name}.{key}"
        for name in ("unet", "cnn", "style")
        for key in (f"limits.max_steps={max_steps}", f"validate_every={validate_every}")
    )
    return (*MACHINE, *DATA, *budgets, *NETWORKS, "stage.composite.preset=ultrafast")
