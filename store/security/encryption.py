"""Encryption of values in the database, with keys that are not in it."""

import json
from typing import Self

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from store.errors import SecretsKeyUnusable, SecretUnreadable
from store.settings import DatabaseSettings

VARIABLE = "DUET_SECRETS_KEY"


class Cipher:
    """Encrypts with the first key of DUET_SECRETS_KEY, and decrypts with each of them.

    Each value is encrypted together with its owner's name, so that a ciphertext that is moved to
    another row cannot be read there.
    """

    def __init__(self, keys: MultiFernet) -> None:
        self._keys = keys

    @classmethod
    def of(cls, settings: DatabaseSettings) -> Self | None:
        """Return the cipher; None: the server has no key.

        Raises:
            SecretsKeyUnusable: a key is malformed; the message does not contain it.
        """
        if not settings.secrets_keys:
            return None
        try:
            return cls(MultiFernet([Fernet(key) for key in settings.secrets_keys]))
        except ValueError:
            raise SecretsKeyUnusable(
                f"{VARIABLE} is not a valid key: set 32 random bytes in URL-safe base64 (44 "
                "characters), as printed by `openssl rand -base64 32 | tr +/ -_`; several are "
                "separated by commas"
            ) from None

    def encrypt(self, value: str, *, owner: str) -> bytes:
        return self._keys.encrypt(json.dumps([owner, value]).encode())

    def decrypt(self, ciphertext: bytes, *, owner: str) -> str:
        """Return the value.

        Raises:
            SecretUnreadable: the value was encrypted with another key, or for another owner.
        """
        try:
            found, value = json.loads(self._keys.decrypt(ciphertext))
        except InvalidToken:
            raise SecretUnreadable(f"{VARIABLE} is not the key that encrypted {owner}") from None
        if found != owner:
            raise SecretUnreadable(f"the value of {owner} was encrypted for another owner")
        return value

    def renewed(self, ciphertext: bytes) -> bytes:
        """Return the same value encrypted with the first key.

        Raises:
            SecretUnreadable: no key decrypts it.
        """
        try:
            return self._keys.rotate(ciphertext)
        except InvalidToken:
            raise SecretUnreadable(
                f"a secret was encrypted with a key that is not in {VARIABLE}"
            ) from None
