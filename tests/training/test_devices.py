"""The trainer that suits the machine."""

from lightning_fabric.accelerators.mps import MPSAccelerator
from pytorch_lightning.accelerators import CPUAccelerator

from dreaming.training.devices import suited_trainer


def test_without_cuda_it_is_the_cpu_even_where_lightning_would_take_a_macs_gpu(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(MPSAccelerator, "is_available", staticmethod(lambda: True))
    trainer = suited_trainer(logger=False, enable_checkpointing=False)
    assert isinstance(trainer.accelerator, CPUAccelerator)
