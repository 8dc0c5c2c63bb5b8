"""The names that NVFlare's filters import; their 8- and 4-bit types, which need the real ones, end in an error."""

from __future__ import annotations


def _needs_bitsandbytes(*arguments: object, **options: object) -> None:
    raise RuntimeError("bitsandbytes is not installed: only float16 can be had.")


QuantState = dequantize_4bit = dequantize_blockwise = quantize_4bit = quantize_blockwise = _needs_bitsandbytes
