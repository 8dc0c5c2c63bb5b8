"""Global Intensity Non-linear (GIN) augmentation: random shallow convolutions that change contrast, not shape."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

NEGATIVE_SLOPE = 0.01
EPS = 1e-5

# Measured on two cores with 2 MiB of level-2 cache; neither changes the result beyond rounding.
_ROWS = 4  # image rows that one matrix product yields
_CACHED_ELEMENTS = 1 << 18  # elements of a buffer worked on before moving on


@torch.no_grad()
def gin(x: Tensor, kernels: Sequence[Tensor], shifts: Sequence[Tensor], alpha: Tensor) -> Tensor:
    r"""Mix each sample with its image under a shallow random convolutional network, keeping its norm.

    With :math:`g` the network (leaky ReLU of slope 0.01 after each layer but the last, zero padding that keeps the
    size) and norms over all channels and voxels of a sample,

    .. math:: m = \alpha\, g(x) + (1 - \alpha)\, x, \qquad y = m \, \|x\|_F / (\|m\|_F + 10^{-5}).

    Ouyang et al., "Causality-Inspired Single-Source Domain Generalization for Medical Image Segmentation", IEEE
    TMI 2023 (eq. 2 and 3); used in federation by Nagaraju et al., "FedGIN", arXiv 2508.05137.

    No gradient flows through. float16 and bfloat16 input is worked on in float32. The result is finite for any finite
    input whose squared norm float32 can hold; zero stays zero.

    Args:
        x: normalised images, shape (B, C, H, W) or (B, C, D, H, W), floating point.
        kernels: one tensor for each layer, shape (B, out, in, \*k) with odd k; batch dimension 1 shares it.
        shifts: one tensor for each layer, shape (B, out) or (1, out), added before the leaky ReLU.
        alpha: shape (B,) or (1,), the share of the transformed image, in [0, 1].

    Returns:
        Tensor of x's shape, dtype and device; ``x`` itself is left as it was.

    Raises:
        TypeError: when ``x`` is not of a floating-point type.
        ValueError: when shapes do not fit together.

    Example:
        One image under a single layer of 1x1 convolution, three quarters of it mixed in; the norm stays the same.

        >>> x = torch.tensor([[[[1.0, 2.0], [2.0, 4.0]]]])
        >>> kernel, shift = torch.full((1, 1, 1, 1, 1), -1.0), torch.ones(1, 1)
        >>> y = gin(x, [kernel], [shift], alpha=torch.tensor([0.75]))
        >>> y.squeeze()
        tensor([[ 0.9449, -0.9449],
                [-0.9449, -4.7245]])
        >>> torch.allclose(x.norm(), y.norm())
        True
    """
    _check(x, kernels, shifts, alpha)
    dtype = torch.promote_types(x.dtype, torch.float32)
    kernels = [k.to(x.device, dtype) for k in kernels]
    shifts = [s.to(x.device, dtype) for s in shifts]
    alpha = alpha.to(x.device, dtype)
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    with torch.autocast(x.device.type, enabled=False):
        work = _banded if x.device.type == "cpu" else _grouped
        work(x.to(dtype), kernels, shifts, alpha, out)
    return out


def _check(x: Tensor, kernels: Sequence[Tensor], shifts: Sequence[Tensor], alpha: Tensor) -> None:
    if not x.is_floating_point():
        raise TypeError(f"x should be of a floating-point type, got {x.dtype}.")
    if x.ndim not in (4, 5):
        raise ValueError(f"x should have shape (B, C, H, W) or (B, C, D, H, W), got {tuple(x.shape)}.")
    if len(kernels) == 0 or len(kernels) != len(shifts):
        raise ValueError(
            f"kernels and shifts should be of one length of at least 1, got {len(kernels)} and {len(shifts)}."
        )
    batch, channels = x.shape[:2]
    width = channels
    for layer, (kernel, shift) in enumerate(zip(kernels, shifts, strict=True)):
        expected = f"({batch} or 1, out, {width}, *{x.ndim - 2} odd sizes)"
        if (
            kernel.ndim != x.ndim + 1
            or kernel.shape[0] not in (1, batch)
            or kernel.shape[2] != width
            or any(size % 2 == 0 for size in kernel.shape[3:])
        ):
            raise ValueError(f"kernels[{layer}] should have shape {expected}, got {tuple(kernel.shape)}.")
        width = kernel.shape[1]
        if shift.ndim != 2 or shift.shape[0] not in (1, batch) or shift.shape[1] != width:
            raise ValueError(f"shifts[{layer}] should have shape ({batch} or 1, {width}), got {tuple(shift.shape)}.")
    if width != channels:
        raise ValueError(
            f"the last of kernels should have as many outputs as x has channels ({channels}), got {width}."
        )
    if alpha.ndim != 1 or alpha.shape[0] not in (1, batch):
        raise ValueError(f"alpha should have shape ({batch},) or (1,), got {tuple(alpha.shape)}.")


def _mix(x: Tensor, transformed: Tensor, alpha: Tensor, out: Tensor) -> None:
    r"""Write x and ``transformed``, (B, C, \*spatial), mixed and rescaled to the norm of x, into ``out``."""
    dims = tuple(range(1, x.ndim))
    alpha = alpha.view(-1, *[1] * len(dims))
    mixed = torch.lerp(x, transformed, alpha, out=out if out.dtype == x.dtype else None)
    norm = torch.linalg.vector_norm(x, dim=dims, keepdim=True)
    mixed *= norm / (torch.linalg.vector_norm(mixed, dim=dims, keepdim=True) + EPS)
    if out.dtype == torch.float16:  # a voxel brighter than the type can say saturates
        mixed.clamp_(-torch.finfo(out.dtype).max, torch.finfo(out.dtype).max)
    if mixed is not out:
        out.copy_(mixed)


def _grouped(x: Tensor, kernels: list[Tensor], shifts: list[Tensor], alpha: Tensor, out: Tensor) -> None:
    """The network as one grouped convolution for each layer, with a group for each sample."""
    batch = x.shape[0]
    convolve = F.conv2d if x.ndim == 4 else F.conv3d
    hidden = x.reshape(1, -1, *x.shape[2:])
    for layer, (kernel, shift) in enumerate(zip(kernels, shifts, strict=True)):
        if layer:
            hidden = F.leaky_relu_(hidden, NEGATIVE_SLOPE)
        hidden = convolve(
            hidden,
            kernel.expand(batch, *kernel.shape[1:]).flatten(0, 1),
            shift.expand(batch, -1).flatten(),
            padding=[size // 2 for size in kernel.shape[3:]],
            groups=batch,
        )
    _mix(x, hidden.view_as(x), alpha, out)


def _banded(x: Tensor, kernels: list[Tensor], shifts: list[Tensor], alpha: Tensor, out: Tensor) -> None:
    """The network as batched matrix products over bands of rows, on buffers that stay in the cache.

    A convolution of 1 or 2 channels is too narrow for the library's kernels. Here a band of rows is one product: the
    matrix holds the kernel's column at one horizontal tap, once for each row of the band, and the other factor is the
    input's rows themselves, (row, channel) by column, shifted by the tap. Zeros after each row, plane and sample serve
    as padding, so that the bands of all samples are one batch of equal stride, and nothing is copied.
    """
    spatial = x.shape[2:]
    layers = [_Layer(kernel, shift) for kernel, shift in zip(kernels, shifts, strict=True)]
    pad = [max(kernel.shape[3 + axis] // 2 for kernel in kernels) for axis in range(len(spatial))]
    grid = [size + extra for size, extra in zip(spatial, pad, strict=True)]
    grid[-2] = math.ceil(grid[-2] / _ROWS) * _ROWS
    group = min(x.shape[0], max(1, _CACHED_ELEMENTS // math.prod(grid)))
    widest = max(x.shape[1], *(shift.shape[1] for shift in shifts))
    # What lies before the first row and after the last is read too.
    slack = widest * sum(extra * math.prod(grid[axis + 1 :]) for axis, extra in enumerate(pad))
    slack = math.ceil(slack / 16) * 16  # whole cache lines
    buffers = [x.new_zeros(group * math.prod(grid) * widest + 2 * slack) for _ in range(2)]

    for start in range(0, x.shape[0], group):
        samples = slice(start, start + group)
        count = x[samples].shape[0]
        source, target = buffers
        image = _image(source, slack, count, x.shape[1], grid).zero_()
        _inside(image, spatial).copy_(x[samples])
        for number, layer in enumerate(layers):
            if number:
                F.leaky_relu_(image, NEGATIVE_SLOPE)
                for axis, size in enumerate(spatial):
                    image.narrow(2 + axis, size, grid[axis] - size).zero_()
            layer.apply(source, target, slack, grid, samples, count)
            image = _image(target, slack, count, layer.out, grid)
            source, target = target, source
        _mix(x[samples], _inside(image, spatial), alpha if alpha.shape[0] == 1 else alpha[samples], out[samples])


def _inside(image: Tensor, spatial: Sequence[int]) -> Tensor:
    """An image on the padded grid without its padding."""
    for axis, size in enumerate(spatial):
        image = image.narrow(2 + axis, 0, size)
    return image


def _image(buffer: Tensor, slack: int, count: int, channels: int, grid: list[int]) -> Tensor:
    """View of a buffer, laid out (sample, plane, row, channel, column), as (sample, channel, plane, row, column)."""
    *leading, width = grid
    size = count * channels * math.prod(grid)
    return buffer[slack : slack + size].view(count, *leading, channels, width).movedim(-2, 1)


class _Layer:
    """One convolution, as the matrices that take bands of input rows to bands of output rows."""

    def __init__(self, kernel: Tensor, shift: Tensor) -> None:
        self.out, self.into = kernel.shape[1:3]
        *leading, self.kh, self.kw = kernel.shape[3:]
        self.kd = math.prod(leading)
        self.span = _ROWS + self.kh - 1
        taps = self.kd * self.kw
        batch = kernel.shape[0]
        self.matrices = kernel.new_zeros(taps, batch, _ROWS * self.out, self.span * self.into)
        # One row further down the band, the same kernel column starts one row further along the input.
        size = (taps, batch, _ROWS, self.out, self.kh, self.into)
        row = self.span * self.into
        step = (*self.matrices.stride()[:2], (self.out * self.span + 1) * self.into, row, self.into, 1)
        columns = kernel.reshape(batch, self.out, self.into, self.kd, self.kh, self.kw).permute(3, 5, 0, 1, 4, 2)
        self.matrices.as_strided(size, step).copy_(columns.reshape(taps, batch, 1, *size[3:]))
        self.start = shift.repeat(1, _ROWS).unsqueeze(-1)

    def apply(self, source: Tensor, target: Tensor, slack: int, grid: list[int], samples: slice, count: int) -> None:
        """Write the layer, before its leaky ReLU, into ``target``; what falls on the padding is left arbitrary."""
        height, width = grid[-2:]
        bands = math.prod(grid[:-1]) // _ROWS
        matrices = [_each_band(matrix, samples, count, bands) for matrix in self.matrices]
        start = _each_band(self.start, samples, count, bands)
        size = _ROWS * self.out * width
        total = count * bands
        # A group of several samples fits the cache as a whole, and has matrices of its own for each band.
        part = math.ceil(total / math.ceil(total * size / _CACHED_ELEMENTS)) if count == 1 else total
        row = self.into * width
        origins = [
            slack + (dz * height - self.kh // 2) * row + dx
            for dz in range(-(self.kd // 2), self.kd // 2 + 1)
            for dx in range(-(self.kw // 2), self.kw // 2 + 1)
        ]
        for first in range(0, total, part):
            many = min(part, total - first)
            result = target.as_strided((many, _ROWS * self.out, width), (size, width, 1), slack + first * size)
            result.copy_(start[:many])
            shape = (many, self.span * self.into, width)
            for matrix, origin in zip(matrices, origins, strict=True):
                rows = source.as_strided(shape, (_ROWS * row, width, 1), origin + first * _ROWS * row)
                result.baddbmm_(matrix[:many], rows)


def _each_band(values: Tensor, samples: slice, count: int, bands: int) -> Tensor:
    """The values of each sample, (B or 1, M, N), once for each of its bands; without a copy where all are the same."""
    if values.shape[0] > 1:
        values = values[samples]
    rows = values.shape[1:]
    return values.unsqueeze(1).expand(count, bands, *rows).reshape(count * bands, *rows)
