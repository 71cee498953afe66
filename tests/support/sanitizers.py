"""Whether this process runs under AddressSanitizer: memory is other than elsewhere there.

What was freed is kept for a while, to find who uses it still; each byte has a shadow; and reports need room themselves.
"""
import os

IS_SANITIZED = "libasan" in os.environ.get("LD_PRELOAD", "")
