"""A MONAI bundle: metadata, weights, and an inference configuration that needs MONAI and nothing of flareseg."""

from __future__ import annotations

from typing import Any

import monai
import numpy as np
import torch

from flareseg.config.task import Intensity, Task
from flareseg.learning.trained import Trained
from flareseg.report.schema import ReportFacts

SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"


def metadata(model: Trained, facts: ReportFacts | None) -> dict[str, Any]:
    """``configs/metadata.json``; sites are a number, never names."""
    task = model.task
    size = [f"{task.network.divisor}*n"] * task.spatial_dims
    labels = {str(index): label for index, label in enumerate(task.labels)}
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "version": "0.1.0",
        "changelog": {"0.1.0": "exported from a federation"},
        "monai_version": monai.__version__.partition("+")[0],
        "pytorch_version": torch.__version__.partition("+")[0],
        "numpy_version": np.__version__,
        "required_packages_version": {"nibabel": "5.2.0"},
        "supported_apps": {},
        "name": task.name,
        "task": f"Segmentation of {', '.join(task.labels)}",
        "description": f"{task.network.name} for {' and '.join(task.modalities)}, trained by federated learning.",
        "authors": "fill in",
        "copyright": "fill in",
        "license": "fill in",
        "intended_use": "Research. Not a medical device.",
        "modality": ", ".join(task.modalities),
        "spacing_mm": list(task.spacing),
        "rounds_done": model.about.get("rounds_done"),
        "flareseg_version": model.about.get("flareseg"),
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "format": "magnitude" if "MR" in task.modalities else "hounsfield",
                    "modality": " or ".join(task.modalities),
                    "num_channels": task.in_channels,
                    "spatial_shape": size,
                    "dtype": "float32",
                    "value_range": [0, 1],
                    "is_patch_data": True,
                    "channel_def": {str(index): "image" for index in range(task.in_channels)},
                }
            },
            "outputs": {
                "pred": {
                    "type": "image",
                    "format": "segmentation",
                    "num_channels": len(task.labels),
                    "spatial_shape": size,
                    "dtype": "float32",
                    "value_range": [],
                    "is_patch_data": True,
                    "channel_def": labels,
                }
            },
        },
    }
    if facts is not None:
        content["sites"] = len(facts.sites)
        content["test_dice"] = scores(facts)
    return content


def scores(facts: ReportFacts) -> dict[str, Any]:
    """Mean test Dice and its number of volumes for each modality, and the spread over sites."""
    organs = [row.organs for row in facts.test_by_site if row.organs is not None]
    result: dict[str, Any] = {
        row.name: {"organs": row.organs, "lesion": row.lesion.dice, "volumes": row.volumes}
        for row in facts.test_by_modality
    }
    if organs:
        result["organs over sites"] = {"lowest": min(organs), "highest": max(organs), "sites": len(organs)}
    return result


def inference(task: Task) -> dict[str, Any]:
    """``configs/inference.json``: a list of NIfTI files in, a label map beside each out.

    ``python -m monai.bundle run --config_file configs/inference.json --bundle_root . --images "['ct.nii.gz']"``
    """
    divisor = task.network.divisor
    padded = [divisor, divisor, 1] if task.spatial_dims == 2 else [1, 1, 1]
    flat = {"_target_": "SliceInferer", "roi_size": [-1, -1], "spatial_dim": 2, "sw_batch_size": 16}
    windows = {
        "_target_": "SlidingWindowInferer",
        "roi_size": list(task.patch),
        "overlap": 0.25,
        "mode": "gaussian",
        "sw_device": "$@device",
        "device": "cpu",
    }
    # The lesion label, like flareseg's own label map, stands above the organs.
    order = sorted(range(len(task.labels)), key=lambda index: task.labels[index] not in task.organs)
    return {
        "imports": ["$import functools", "$import torch"],
        "bundle_root": ".",
        "images": [],
        "output_dir": "$@bundle_root + '/eval'",
        "modality": next(iter(task.modalities)),
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "network": "$torch.jit.load(@bundle_root + '/models/model.ts', map_location=@device).eval()",
        "intensity": {name: _intensity(settings) for name, settings in task.modalities.items()},
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "image", "ensure_channel_first": True},
                {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
                {
                    "_target_": "Spacingd",
                    "keys": "image",
                    "pixdim": [wanted or -1.0 for wanted in task.spacing],
                    "mode": "bilinear",
                    "padding_mode": "border",
                },
                "$@intensity[@modality]",
                {"_target_": "DivisiblePadd", "keys": "image", "k": padded},
            ],
        },
        "inferer": flat if task.spatial_dims == 2 else windows,
        "predict": "$torch.no_grad()(lambda image: @inferer(image[None].to(@device), @network)[0].cpu())",
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {
                    "_target_": "Invertd",
                    "keys": "pred",
                    "transform": "@preprocessing",
                    "orig_keys": "image",
                    "nearest_interp": False,
                },
                {
                    "_target_": "Lambdad",
                    "keys": "pred",
                    "func": "$lambda x: functools.reduce(lambda done, index: "
                    f"torch.where(x[index : index + 1] > 0, index + 1.0, done), {order}, torch.zeros_like(x[:1]))",
                },
                {
                    "_target_": "SaveImaged",
                    "keys": "pred",
                    "output_dir": "@output_dir",
                    "output_postfix": "seg",
                    "output_dtype": "$torch.uint8",
                    "separate_folder": False,
                    "resample": False,
                },
            ],
        },
        "segment": "$lambda item: @postprocessing({**item, 'pred': @predict(item['image'])})",
        "run": ["$[@segment(@preprocessing({'image': image})) for image in @images]"],
    }


def _intensity(settings: Intensity) -> dict[str, Any]:
    common = {"keys": "image", "b_min": 0.0, "b_max": 1.0, "clip": True}
    if settings.window is not None:
        low, high = settings.window
        return {"_target_": "ScaleIntensityRanged", "a_min": low, "a_max": high, **common}
    low, high = settings.percentiles or (0.0, 100.0)
    return {"_target_": "ScaleIntensityRangePercentilesd", "lower": low, "upper": high, **common}
