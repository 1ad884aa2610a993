"""The options of `moa kaggle package`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from moa.options import Options


class PackageOptions(Options):
    """What the folders for Kaggle hold."""

    user: str = Field(description="Your Kaggle user name.")
    weights: Path | None = Field(
        None, description="Trained weights to attach; default: read the outputs of the training kernels."
    )
    pretrained: Path | None = Field(
        None, description="Folder of ImageNet weights, which the training kernels of the CNNs need."
    )
    wheels: bool = Field(
        True, description="Download the wheels that Kaggle's image lacks; if not, those pushed before are attached."
    )
    python: str = Field(  # a notebook shows it with ``!python --version``
        "3.12", description="Python version of Kaggle's image, for the wheels."
    )
    profile: str = Field("kaggle", description="Settings that the kernels run with: kaggle or demo.")
