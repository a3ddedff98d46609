"""Convert a decoded JSON object to a typed value and name every wrong field.

msgspec stops at the first wrong field, but a person who makes five mistakes should see all five at once. So an object
that msgspec refuses is converted again, field by field and element by element.
"""

from collections.abc import Mapping
from types import UnionType
from typing import TypeVar, Union, get_args, get_origin

import msgspec

from app.core.errors import FieldError
from app.core.validation.strict_json import MAX_SAFE_INTEGER
from app.core.validation.values import describe_type, did_you_mean

Model = TypeVar("Model", bound=msgspec.Struct)

MAX_ERRORS = 20
"""The maximum number of wrong fields that are reported for one object. Without it, the response to a body full of
mistakes could be larger than the body.
"""


class InvalidFields(Exception):
    """Raised for an object that does not fit its model. `errors` has at least one error and at most MAX_ERRORS."""

    def __init__(self, errors: tuple[FieldError, ...]) -> None:
        super().__init__("; ".join(f"{error.pointer}: {error.detail}" for error in errors))
        self.errors = errors[:MAX_ERRORS]


def convert(data: Mapping[str, object], model: type[Model], pointer: str = "") -> Model:
    """Convert a decoded object to `model`, ignoring unknown keys; `pointer` is the place of the object in its document.
    Raises InvalidFields, which names every wrong field up to MAX_ERRORS.
    """
    try:
        return msgspec.convert(data, model)
    except msgspec.ValidationError:
        return _convert_by_field(data, model, pointer)


def unknown_keys(data: Mapping[str, object], model: type[msgspec.Struct], pointer: str = "") -> tuple[FieldError, ...]:
    """Return an error for each key that `model` does not have, at most MAX_ERRORS. An error suggests the known key that
    is most similar, if there is one.
    """
    known = model.__struct_fields__
    ignored = [key for key in data if key not in known][:MAX_ERRORS]
    return tuple(
        FieldError(f"{pointer}/{escape(key)}", f"unknown key, ignored{did_you_mean(key[:64], known)}")
        for key in ignored
    )


def escape(key: str) -> str:
    """Return a key in the form of a JSON pointer token (RFC 6901 section 3), cut to 64 characters."""
    return key.replace("~", "~0").replace("/", "~1")[:64]


def _convert_by_field(data: Mapping[str, object], model: type[Model], pointer: str) -> Model:
    values: dict[str, object] = {}
    errors: list[FieldError] = []
    for field in msgspec.structs.fields(model):
        where = f"{pointer}/{field.encode_name}"
        if field.encode_name not in data:
            if field.required:
                errors.append(FieldError(where, "is required"))
            continue
        try:
            values[field.name] = _convert_value(data[field.encode_name], field.type, where)
        except InvalidFields as error:
            errors.extend(error.errors)
    if errors:
        raise InvalidFields(tuple(errors))
    return model(**values)


def _convert_value(value: object, annotation: object, where: str) -> object:
    model = _struct_type(annotation)
    if model is not None and isinstance(value, Mapping):
        return convert(value, model, where)
    element = _element_type(annotation)
    if element is not None and isinstance(value, list):
        _check_elements(value, element, where)
    try:
        return msgspec.convert(value, annotation)
    except msgspec.ValidationError:
        if isinstance(value, float) and value.is_integer() and abs(value) <= MAX_SAFE_INTEGER:
            # JSON has only one kind of number, so 5.0 is accepted as the integer 5.
            return _convert_value(int(value), annotation, where)
        raise InvalidFields((_must_be(annotation, where),)) from None


def _check_elements(values: list[object], element: object, where: str) -> None:
    errors: list[FieldError] = []
    for position, value in enumerate(values):
        try:
            msgspec.convert(value, element)
        except msgspec.ValidationError:
            errors.append(_must_be(element, f"{where}/{position}"))
            if len(errors) == MAX_ERRORS:
                break
    if errors:
        raise InvalidFields(tuple(errors))


def _struct_type(annotation: object) -> type[msgspec.Struct] | None:
    """Return the Struct type of an annotation, also from inside a union (`Struct | None`). Return None for an
    annotation without one.
    """
    if get_origin(annotation) in (Union, UnionType):
        return next(filter(None, map(_struct_type, get_args(annotation))), None)
    return annotation if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct) else None


def _element_type(annotation: object) -> object | None:
    """Return the element type X of the annotation `tuple[X, ...]`. The annotation may also be inside Annotated or a
    union (`tuple[X, ...] | None`). Return None for any other annotation.
    """
    if hasattr(annotation, "__metadata__"):
        return _element_type(get_args(annotation)[0])
    if get_origin(annotation) is tuple:
        element: object = get_args(annotation)[0]
        return element
    if get_origin(annotation) in (Union, UnionType):
        return next(filter(None, map(_element_type, get_args(annotation))), None)
    return None


def _must_be(annotation: object, where: str) -> FieldError:
    return FieldError(where, f"must be {describe_type(annotation)}")
