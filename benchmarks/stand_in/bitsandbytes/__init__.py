"""Stands in for bitsandbytes, which NVFlare's quantisation filters import, and float16 does not use."""
