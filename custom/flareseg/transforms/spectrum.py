"""Amplitude and phase of images."""

from __future__ import annotations

import torch
from torch import Tensor


def mix_amplitudes(images: Tensor, others: Tensor, share: Tensor, band: float) -> Tensor:
    r"""Mix the amplitudes of low frequencies, and keep the phases.

    With F the Fourier transform over space: :math:`|F'| = (1 - λ)|F(x)| + λ|F(y)|` in a box around frequency 0, as in
    Xu et al., "A Fourier-based Framework for Domain Generalization", CVPR 2021, and there only.

    Args:
        images: (B, C, *spatial).
        others: (B, C, *spatial), whose amplitudes are mixed in.
        share: (B,) λ, in [0, 1].
        band: share of each axis of the spectrum that is mixed, from its middle.

    Returns:
        (B, C, *spatial), of the images' type.
    """
    axes = tuple(range(2, images.ndim))
    shape = images.shape[2:]
    mine, other = (torch.fft.fftn(x.float(), dim=axes) for x in (images, others))
    low = torch.ones(shape, dtype=torch.bool, device=images.device)
    for axis, size in enumerate(shape):
        inside = torch.fft.fftfreq(size, device=images.device).abs() <= band / 2
        low &= inside.view([-1 if number == axis else 1 for number in range(len(shape))])
    share = share.float().view(-1, *[1] * (images.ndim - 1)) * low
    amplitude = torch.lerp(mine.abs(), other.abs(), share)
    return torch.fft.ifftn(torch.polar(amplitude, mine.angle()), dim=axes).real.to(images.dtype)
