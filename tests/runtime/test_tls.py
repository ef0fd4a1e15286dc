"""Certificates for downloads."""

import ssl
import sys

import pytest

from fakereal.runtime.tls import tls


@pytest.fixture(autouse=True)
def anew():
    tls.cache_clear()
    yield
    tls.cache_clear()


def test_a_python_without_certificates_has_those_of_certifi(monkeypatch):
    """As python.org's on macOS."""
    nowhere = ssl.DefaultVerifyPaths(None, None, "SSL_CERT_FILE", "/nowhere", "SSL_CERT_DIR", "/nowhere")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
    monkeypatch.setattr(ssl, "create_default_context", lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    monkeypatch.setattr(sys, "platform", "darwin")
    context = tls()
    assert len(context.get_ca_certs()) > 50 and context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname


def test_others_have_the_systems():
    assert tls().verify_mode == ssl.CERT_REQUIRED and tls() is tls()
