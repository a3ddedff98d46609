"""Field-by-field conversion. This file owns how a decoded object becomes a typed value with every bad field named.

msgspec stops at the first bad field; a person who sends five mistakes should read about five. So: convert in one go,
and only when that fails, field by field and element by element.
"""

import re
from collections.abc import Mapping
from types import UnionType
from typing import TypeVar, Union, get_args, get_origin

import msgspec

from app.core.errors import FieldError
from app.core.validation.strict_json import MAX_SAFE_INTEGER

Model = TypeVar("Model", bound=msgspec.Struct)

_LOCATION = re.compile(r" - at `\$.*`$")


MAX_ERRORS = 20
"""How many bad fields are named: a body full of mistakes must not become a far larger answer."""


class InvalidFields(Exception):
    """What is wrong with an object, field by field; never empty, never more than MAX_ERRORS."""

    def __init__(self, errors: tuple[FieldError, ...]) -> None:
        super().__init__("; ".join(f"{error.pointer}: {error.detail}" for error in errors))
        self.errors = errors[:MAX_ERRORS]


def convert(data: Mapping[str, object], model: type[Model], pointer: str = "") -> Model:
    """Convert a decoded object to `model`, ignoring unknown keys. Raises BadFields naming every bad field."""
    try:
        return msgspec.convert(data, model)
    except msgspec.ValidationError:
        return _convert_slowly(data, model, pointer)


def unknown_keys(data: Mapping[str, object], model: type[msgspec.Struct], pointer: str = "") -> tuple[FieldError, ...]:
    """Name the keys that nobody reads, MAX_ERRORS at most."""
    ignored = [key for key in data if key not in model.__struct_fields__][:MAX_ERRORS]
    return tuple(FieldError(f"{pointer}/{escape(key)}", "unknown key, ignored") for key in ignored)


def escape(key: str) -> str:
    """Write a key as a part of a JSON pointer (RFC 6901 section 3)."""
    return key.replace("~", "~0").replace("/", "~1")[:64]


def _convert_slowly(data: Mapping[str, object], model: type[Model], pointer: str) -> Model:
    values: dict[str, object] = {}
    errors: list[FieldError] = []
    for field in msgspec.structs.fields(model):
        where = f"{pointer}/{field.encode_name}"
        if field.encode_name not in data:
            if field.required:
                errors.append(FieldError(where, "required"))
            continue
        try:
            values[field.name] = _convert_value(data[field.encode_name], field.type, where)
        except InvalidFields as error:
            errors.extend(error.errors)
    if errors:
        raise InvalidFields(tuple(errors))
    return model(**values)


def _convert_value(value: object, wanted: object, where: str) -> object:
    model = _struct_type(wanted)
    if model is not None and isinstance(value, Mapping):
        return convert(value, model, where)
    element = _element_type(wanted)
    if element is not None and isinstance(value, list):
        _check_elements(value, element, where)
    try:
        return msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        if isinstance(value, float) and value.is_integer() and abs(value) <= MAX_SAFE_INTEGER:
            # JSON knows one kind of number: 5.0 is 5.
            return _convert_value(int(value), wanted, where)
        raise InvalidFields((_field_error(str(error), where),)) from None


def _check_elements(values: list[object], element: object, where: str) -> None:
    errors: list[FieldError] = []
    for position, value in enumerate(values):
        try:
            msgspec.convert(value, element)
        except msgspec.ValidationError as error:
            errors.append(_field_error(str(error), f"{where}/{position}"))
            if len(errors) == MAX_ERRORS:
                break
    if errors:
        raise InvalidFields(tuple(errors))


def _struct_type(wanted: object) -> type[msgspec.Struct] | None:
    """Give the struct that a value is to become, also beside None."""
    if get_origin(wanted) in (Union, UnionType):
        return next(filter(None, map(_struct_type, get_args(wanted))), None)
    return wanted if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct) else None


def _element_type(wanted: object) -> object | None:
    """Give X for tuple[X, ...], also inside Annotated and beside None."""
    if hasattr(wanted, "__metadata__"):
        return _element_type(get_args(wanted)[0])
    if get_origin(wanted) is tuple:
        element: object = get_args(wanted)[0]
        return element
    if get_origin(wanted) in (Union, UnionType):
        return next(filter(None, map(_element_type, get_args(wanted))), None)
    return None


def _field_error(message: str, where: str) -> FieldError:
    """Say what was wanted, without msgspec's own notation of the place."""
    return FieldError(where, _LOCATION.sub("", message))
