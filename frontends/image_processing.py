"""What a checkpoint says about images: the steps of its image processor, and where an image stands in a prompt.

The record is plain JSON, as an executable keeps it:
    {"resize": [h, w], shorter side or null, "resample": Pillow's number, "crop": [h, w] or null, "scale": factor,
     "mean": [..], "std": [..], "prompt": {"before": text, "after": text} or null}
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from frontends.errors import FrontendError, show
from frontends.files import read_json_object

FILES = ("processor_config.json", "preprocessor_config.json")
MAX_SIDE = 4096
MAX_PROMPT_CHARACTERS = 256
CHANNELS = 3

# How a published processor puts an image into a prompt: what stands before its rows and between them and the text. It is
# written in the processors' code, in no file of a checkpoint.
PROMPTS = {
    "Kosmos2Processor": {"before": "<s><image>", "after": "</image> "},
}

# CLIPImageProcessor; the numbers are the class's defaults.
PROCESSORS = ("CLIPImageProcessor", "CLIPImageProcessorFast", "CLIPFeatureExtractor")
DEFAULTS: dict[str, Any] = {
    "do_resize": True,
    "size": {"shortest_edge": 224},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "do_convert_rgb": True,
    "use_square_size": False,
}
WITHOUT_INFLUENCE = (
    "image_processor_type", "feature_extractor_type", "processor_class", "data_format", "default_to_square",
)  # fmt: skip


def read_image_processing(directory: Path | None) -> dict[str, Any] | None:
    """The record of a checkpoint directory; None if it says nothing about images. Raises FrontendError."""
    for name in FILES if directory is not None else ():
        path = cast(Path, directory) / name
        if not path.exists():
            continue
        document = read_json_object(path)
        inner = document.get("image_processor", document if name == FILES[1] else None)
        if isinstance(inner, dict):
            fields = cast(dict[str, Any], inner)
            processor = document.get("processor_class", fields.get("processor_class"))
            return _record(fields, processor, str(path))
    return None


def _record(given: dict[str, Any], processor: Any, file: str) -> dict[str, Any]:
    kind = given.get("image_processor_type", given.get("feature_extractor_type", PROCESSORS[0]))
    if kind not in PROCESSORS:
        raise FrontendError(f"the image processor {show(kind)} is not known", file, hint=f"known: {PROCESSORS[0]}")
    fields = {key: value for key, value in given.items() if value is not None and key not in WITHOUT_INFLUENCE}
    for key in fields:
        if key not in DEFAULTS:
            raise FrontendError(f"the field {show(key)} of an image processor is not known", file)
    values = DEFAULTS | fields
    for key in ("do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb", "use_square_size"):
        if not isinstance(values[key], bool):
            raise FrontendError(f"{key} must be true or false, found {show(values[key])}", file)
    if not values["do_convert_rgb"]:
        raise FrontendError("an image processor that keeps other colours than RGB is not supported", file)
    record = {
        "resize": _resize(values) if values["do_resize"] else None,
        "resample": values["resample"],
        "crop": _sides(values["crop_size"]) if values["do_center_crop"] else None,
        "scale": values["rescale_factor"] if values["do_rescale"] else 1,
        "mean": values["image_mean"] if values["do_normalize"] else [0] * CHANNELS,
        "std": values["image_std"] if values["do_normalize"] else [1] * CHANNELS,
        "prompt": PROMPTS.get(processor) if isinstance(processor, str) else None,
    }
    return check_record(record, file)


def _resize(values: dict[str, Any]) -> Any:
    size = values["size"]
    if isinstance(size, dict) and size.keys() == {"shortest_edge"}:
        shortest = cast(dict[str, Any], size)["shortest_edge"]
        return [shortest, shortest] if values["use_square_size"] else shortest
    if isinstance(size, int) and not isinstance(size, bool):
        return [size, size] if values["use_square_size"] else size
    return _sides(size)


def _sides(size: Any) -> Any:
    if isinstance(size, dict):
        sides = cast(dict[str, Any], size)
        return [sides.get("height"), sides.get("width")] if sides.keys() == {"height", "width"} else sides
    return [size, size]


def check_record(record: Any, file: str) -> dict[str, Any]:
    """The record, if it is one: it may come from an executable that anybody has written. Raises FrontendError."""
    names = {"resize", "resample", "crop", "scale", "mean", "std", "prompt"}
    if not isinstance(record, dict) or cast(dict[str, Any], record).keys() != names:
        raise FrontendError("there is no image processor in it", file)
    fields = cast(dict[str, Any], record)
    resize = fields["resize"]
    checks = {
        "resize": resize is None or _is_side(resize) or _is_pair(resize),
        "resample": type(fields["resample"]) is int and 0 <= fields["resample"] <= 5,
        "crop": fields["crop"] is None or _is_pair(fields["crop"]),
        "scale": _is_number(fields["scale"]),
        "mean": _are_numbers(fields["mean"]),
        "std": _are_numbers(fields["std"]) and all(value > 0 for value in fields["std"]),
        "prompt": fields["prompt"] is None or _is_prompt(fields["prompt"]),
    }
    for name, is_right in checks.items():
        if not is_right:
            raise FrontendError(f"{name} of the image processor cannot be {show(fields[name])}", file)
    return fields


def _is_side(value: Any) -> bool:
    return type(value) is int and 1 <= value <= MAX_SIDE


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(cast(list[Any], value)) == 2 and all(map(_is_side, cast(list[Any], value)))


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e6


def _are_numbers(value: Any) -> bool:
    items = cast(list[Any], value) if isinstance(value, list) else []
    return len(items) == CHANNELS and all(map(_is_number, items))


def _is_prompt(value: Any) -> bool:
    if not isinstance(value, dict) or cast(dict[str, Any], value).keys() != {"before", "after"}:
        return False
    texts = cast(dict[str, Any], value).values()
    return all(isinstance(text, str) and len(text) <= MAX_PROMPT_CHARACTERS for text in texts)
