"""Text that belongs to a person: encrypted wherever it rests or travels, masked wherever it is shown.

A `Sensitive` value is either *plain* (typed in by a caller, or revealed on demand) or *sealed* (a token that only the
application's data key opens). Which one a JSON text holds is decided by the validation context, never by its looks:

- no context: the text is plain, as at the API;
- context ``{"key": DataKey}``: the text must be a token of that key, as in events and stored documents.

Dumping to JSON with the same context gives tokens; without a key it gives the mask, so forgetting the key cannot leak.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, ClassVar, Protocol, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, SerializationInfo, ValidationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

MASK = "***"
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
TOKEN = "enc1:"  # noqa: S105 - a prefix


class DataKey(Protocol):
    """Encrypts the personal data of one application (or of one period of intake)."""

    @property
    def id(self) -> str: ...

    def seal(self, plain: str) -> str:
        """Return a token that begins with `TOKEN`."""

    def open(self, token: str) -> str:
        """Return the plain text; raises `SealBroken` when the token is not of this key."""


class SealBroken(Exception):
    """A token that its key does not open: another key's, cut, or altered."""


class Erased(Exception):
    """The data key was deleted: the person was erased, and this is final."""


class Sensitive:
    """One personal value. `reveal()` is the only way to its text, so one grep finds every place that looks."""

    __slots__ = ("_key", "_plain", "_token")
    max_length: ClassVar[int] = 200
    json_format: ClassVar[str | None] = None

    def __init__(self, plain: str) -> None:
        self._plain: str | None = self.normalise(plain)
        self._token: str | None = None
        self._key: DataKey | None = None

    @classmethod
    def sealed(cls, token: str, key: DataKey) -> Self:
        """A value as stored; it is decrypted when somebody reveals it, and passed on untouched otherwise."""
        value = cls.__new__(cls)
        value._plain, value._token, value._key = None, token, key
        return value

    @classmethod
    def normalise(cls, plain: str) -> str:
        """Check and tidy plain text. Raises `PydanticCustomError` that never quotes the text."""
        text = plain.strip()
        if not text:
            raise PydanticCustomError("empty", "must not be empty")
        if len(text) > cls.max_length:
            raise PydanticCustomError("too_long", "must have at most {limit} characters", {"limit": cls.max_length})
        if _CONTROL.search(text):
            raise PydanticCustomError("control_character", "must not contain control characters")
        return text

    def reveal(self) -> str:
        """The plain text. Raises `SealBroken` or `Erased`."""
        if self._plain is None:
            assert self._key is not None
            assert self._token is not None
            self._plain = self._key.open(self._token)
        return self._plain

    def seal(self, key: DataKey) -> str:
        """The token under `key`; kept when it is already sealed under that key."""
        if self._token is not None and self._key is not None and self._key.id == key.id:
            return self._token
        token = key.seal(self.reveal())
        if self._token is None:
            self._token, self._key = token, key
        return token

    def __repr__(self) -> str:
        return f"{type(self).__name__}({MASK})"

    __str__ = __repr__

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _: Any) -> Self:
        return self

    def __reduce_ex__(self, _: Any) -> Any:
        """A pickle would hold the plain text, wherever it then goes."""
        raise TypeError("a sensitive value is never pickled; reveal what another process must know")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sensitive) and self.reveal() == other.reveal()

    def __hash__(self) -> int:
        return hash(self.reveal())

    @classmethod
    def _validate(cls, value: Any, info: ValidationInfo) -> Sensitive:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise PydanticCustomError("string_type", "must be a string")
        context: dict[str, Any] = info.context or {}
        key = context.get("key")
        if key is None:
            return cls(value)
        if not value.startswith(TOKEN):
            raise PydanticCustomError("not_sealed", "must be sealed")
        sealed = cls.sealed(value, key)
        if context.get("prove"):
            context["prove"] = False
            sealed._prove()
        return sealed

    def _prove(self) -> None:
        """That the key opens it, now and not when somebody reveals it, which may be after the event took effect."""
        try:
            self.reveal()
        except (SealBroken, UnicodeDecodeError):
            raise PydanticCustomError("seal_broken", "does not open with its key") from None

    @staticmethod
    def _serialise(value: Sensitive, info: SerializationInfo) -> Any:
        if info.mode == "python":
            return value
        context = info.context or {}
        if context.get("reveal") is True:
            return value.reveal()
        key = context.get("key")
        return MASK if key is None else value.seal(key)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            cls._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(Sensitive._serialise, info_arg=True),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        shape: JsonSchemaValue = {"type": "string", "minLength": 1, "maxLength": cls.max_length, "x-sensitive": True}
        return shape | ({"format": cls.json_format} if cls.json_format else {})


class SensitiveText(Sensitive):
    """Longer free text: notes, descriptions, raw words of a partner."""

    max_length = 20_000


class Document(Sensitive):
    """A whole raw body, as text; bounded by the size of a Kafka record."""

    max_length = 1_000_000

    @classmethod
    def normalise(cls, plain: str) -> str:
        return plain


class SensitiveDate(Sensitive):
    """An ISO 8601 calendar date that belongs to a person, such as a birth date."""

    max_length = 10
    json_format = "date"

    @classmethod
    def normalise(cls, plain: str) -> str:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", plain):
            raise PydanticCustomError("date_format", "must be a date written YYYY-MM-DD")
        try:
            dt.date.fromisoformat(plain)
        except ValueError:
            raise PydanticCustomError("date_value", "must be a date that exists in the calendar") from None
        return plain

    def date(self) -> dt.date:
        return dt.date.fromisoformat(self.reveal())


class Digits(Sensitive):
    """A number of a person or business; separators are accepted on the way in and dropped."""

    max_length = 34
    length: ClassVar[int | None] = None

    @classmethod
    def normalise(cls, plain: str) -> str:
        digits = re.sub(r"[ ./-]", "", plain)
        if not re.fullmatch(r"[0-9]+", digits):
            raise PydanticCustomError("digits", "must consist of digits, with spaces, dots or dashes between them")
        if cls.length is not None and len(digits) != cls.length:
            raise PydanticCustomError("digits_length", "must have {length} digits", {"length": cls.length})
        return digits


class Ssn(Digits):
    """A United States social security number, nine digits."""

    length = 9


class Email(Sensitive):
    """An e-mail address; checked for its shape only, since only a mail can prove more."""

    max_length = 254
    json_format = "email"

    @classmethod
    def normalise(cls, plain: str) -> str:
        text = super().normalise(plain)
        if not re.fullmatch(r"[^@\s\"<>(),;:\\]{1,64}@[^@\s\"<>(),;:\\]+\.[^@\s\"<>(),;:\\.]+", text):
            raise PydanticCustomError("email", "must be an e-mail address")
        return text


class Phone(Sensitive):
    """A telephone number of 7 to 15 digits (ITU-T E.164), optionally with + and separators."""

    max_length = 30

    @classmethod
    def normalise(cls, plain: str) -> str:
        text = super().normalise(plain)
        digits = re.sub(r"[ ().-]", "", text)
        if not re.fullmatch(r"\+?[0-9]{7,15}", digits):
            raise PydanticCustomError("phone", "must be a telephone number of 7 to 15 digits")
        return digits


def any_token(text: str) -> bool:
    """Whether `text` looks like a token; for tests and scans, never for decisions."""
    return text.startswith(TOKEN)
