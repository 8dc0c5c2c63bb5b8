"""SD-UTNet of FedGS (Schutte et al., arXiv 2408.11701): anatomy and modality apart, the image made of both."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from flareseg.networks.nets.outputs import Outputs
from flareseg.networks.nets.utnet import UTNet

FACTORS = 8
CODE = 8


class SDUTNet(nn.Module):
    """Anatomy factors by a UTNet, a segmentor on them, and in training a modality code with a decoder.

    Args:
        in_channels: channels of an image.
        out_channels: channels of the logits.
        image_size: rows and columns of a training image; the modality encoder's linear layer fixes it.
    """

    def __init__(self, in_channels: int, out_channels: int, image_size: tuple[int, int]) -> None:
        super().__init__()
        self.anatomy = UTNet(in_channels, FACTORS)
        self.segmentor = nn.Sequential(
            *_conv_norm(FACTORS, 64, nn.ReLU()), *_conv_norm(64, 64, nn.ReLU()), nn.Conv2d(64, out_channels, 1)
        )
        self.modality = ModalityEncoder(in_channels, image_size)
        self.decoder = Decoder(in_channels)

    def forward(self, image: Tensor) -> Tensor | Outputs:
        """Compute logits (B, L, H, W) of images (B, C, H, W); in training with what the loss of both parts needs."""
        factors = torch.tanh(self.anatomy(image))
        logits: Tensor = self.segmentor(factors)
        if not self.training:
            return logits
        mean, log_variance = self.modality(image)
        code = _draw(mean, log_variance)
        reconstruction = self.decoder(factors, code)
        again = _draw(*self.modality(reconstruction))
        return Outputs(
            logits,
            {
                "image": image,
                "reconstruction": reconstruction,
                "mean": mean,
                "log_variance": log_variance,
                "code": code,
                "code_again": again,
            },
        )


class ModalityEncoder(nn.Module):
    """An image to the mean and log-variance, (B, 8) each, of its modality code."""

    def __init__(self, in_channels: int, image_size: tuple[int, int]) -> None:
        super().__init__()
        widths = (in_channels, 16, 32, 64, 128)
        self.features = nn.Sequential(
            *(layer for into, out in pairwise(widths) for layer in _conv_norm(into, out, nn.LeakyReLU(0.2), stride=2)),
            nn.Flatten(),
            nn.Linear(widths[-1] * (image_size[0] // 16) * (image_size[1] // 16), 32),
            nn.BatchNorm1d(32),
            nn.LeakyReLU(0.03),
        )
        self.mean, self.log_variance = nn.Linear(32, CODE), nn.Linear(32, CODE)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Encode."""
        features = self.features(image)
        return self.mean(features), self.log_variance(features)


class Decoder(nn.Module):
    """Anatomy factors to an image, the modality code setting weight and bias of three instance norms."""

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        sizes = (CODE, 256, 256, 3 * 2 * FACTORS)
        self.style = nn.Sequential(
            *(layer for into, out in pairwise(sizes) for layer in (nn.Linear(into, out), nn.ReLU()))
        )
        self.convolutions = nn.ModuleList(nn.Conv2d(FACTORS, FACTORS, 3, padding=1) for _ in range(3))
        self.head = nn.Conv2d(FACTORS, out_channels, 3, padding=1)

    def forward(self, factors: Tensor, code: Tensor) -> Tensor:
        """Decode to an image (B, C, H, W) in [-1, 1]."""
        weights = self.style(code).unflatten(1, (3, 2, FACTORS))[..., None, None]
        x = factors
        for number, convolution in enumerate(self.convolutions):
            x = nn.functional.instance_norm(convolution(x)) * weights[:, number, 0] + weights[:, number, 1]
        return torch.tanh(self.head(x))


def _conv_norm(into: int, out: int, activation: nn.Module, stride: int = 1) -> tuple[nn.Module, ...]:
    return nn.Conv2d(into, out, 3, stride=stride, padding=1), nn.BatchNorm2d(out), activation


def _draw(mean: Tensor, log_variance: Tensor) -> Tensor:
    return mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
