"""Asks a server on this machine whether it is ready.

Reads: an address and the testbed's CA. Gives: True or False. Never: raises for a server that is not
there yet.
"""

import http.client
import pathlib
import ssl
import urllib.error
import urllib.request

_TIMEOUT_S = 2.0


def answers(url: str, context: ssl.SSLContext | None = None) -> bool:
    """True if a GET of the address is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S, context=context) as response:
            return int(response.status) == http.HTTPStatus.OK
    except urllib.error.HTTPError as error:
        error.close()
        return False
    except (OSError, http.client.HTTPException):
        return False


def trusting(
    ca_file: pathlib.Path, certificate: pathlib.Path | None = None, key: pathlib.Path | None = None
) -> ssl.SSLContext:
    """A TLS context that trusts one CA and, if given, shows a client certificate."""
    context = ssl.create_default_context(cafile=str(ca_file))
    if certificate:
        context.load_cert_chain(str(certificate), str(key) if key else None)
    return context
