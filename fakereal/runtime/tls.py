"""TLS for downloads."""

import functools
import ssl
import sys

import certifi


@functools.cache
def tls() -> ssl.SSLContext:
    """With the system's certificates; with certifi's on macOS, where python.org's Python has none by itself."""
    context, paths = ssl.create_default_context(), ssl.get_default_verify_paths()
    if sys.platform == "darwin" and not (paths.cafile or paths.capath):
        context.load_verify_locations(certifi.where())
    return context
