"""Security: signed values today; passwords, encryption and tokens have their place here.

::

    signer = Signer(settings.secret, salt="unsubscribe")
    token = signer.sign("user:7", ttl=3600)
    signer.unsign(token)    # b"user:7", or BadSignatureError
"""

from __future__ import annotations

from oxidite.security.signing import (
    BadSignatureError,
    ExpiredSignatureError,
    SecretLike,
    Signer,
    Signers,
    development_secret,
)

__all__ = [
    "BadSignatureError",
    "ExpiredSignatureError",
    "SecretLike",
    "Signer",
    "Signers",
    "development_secret",
]
