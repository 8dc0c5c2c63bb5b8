"""What a scalar means is YAML 1.2's core schema, in every file and in ``--set``; a key stands once."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from flareseg.config.settings import read_json, read_yaml, set_keys
from flareseg.config.site import load_site
from flareseg.config.task import load_task
from flareseg.config.yaml_core import dump_yaml, load_yaml
from flareseg.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # Table of YAML 1.2.2, 10.3.2
        *((word, None) for word in ("~", "null", "Null", "NULL", "")),
        *((word, True) for word in ("true", "True", "TRUE")),
        *((word, False) for word in ("false", "False", "FALSE")),
        ("0", 0),
        ("0o7", 7),
        ("0x3A", 58),
        ("-19", -19),
        ("010", 10),
        ("+12", 12),
        ("0.", 0.0),
        ("-0.0", -0.0),
        (".5", 0.5),
        ("+12e03", 12000.0),
        ("-2E+05", -200000.0),
        ("1e-3", 0.001),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        # what version 1.1 read as something else
        *((word, word) for word in ("no", "No", "off", "OFF", "yes", "on", "y", "n")),
        *(
            (word, word)
            for word in ("1_0", "1,0", "0b11", "1:30", "2024-02-03", "=", "0x", "0o8", "nULL", "tRUE", "1e")
        ),
        ('"3"', "3"),
        ("!!str 3", "3"),
        ("!!float 3", 3.0),
    ],
)
def test_scalars_are_those_of_the_core_schema(text: str, value: object) -> None:
    assert load_yaml(f"key: {text}") == {"key": value}
    content: dict[str, Any] = {}
    set_keys(content, [f"a.b={text}"])
    assert content == {"a": {"b": value}}
    assert type(content["a"]["b"]) is type(value)


def test_nan_is_a_float() -> None:
    assert math.isnan(load_yaml(".NaN"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("labels:\n  liver: 1\n  lesion: 2\n  liver: 2\n", "line 4.*key 'liver' is given twice|'liver' is given twice"),
        ("a: {b: {c: 1, d: 2, c: 1}}", "'c' is given twice"),
        ('a: 1\n"a": 2', "'a' is given twice"),
        ("1: liver", "expected a name as key"),
        ("no: 1\nnull: 2", "expected a name as key"),
        ("[a]: 1", "expected a name as key"),
        ("base: &b {x: 1}\nother: {<<: *b, <<: *b}", "'<<' is given twice"),
        ("a: !!int no", "expected int, found 'no'"),
        ("a: !!timestamp 2024-02-03", "could not determine a constructor"),
        ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("a: &a [*a]", "recursive"),
    ],
)
def test_what_would_be_read_in_two_ways_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(text)
    for load in (read_yaml, load_site, load_task):
        with pytest.raises(SettingsError, match=words) as error:
            load(path)
        assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["labels={liver: 1, liver: 2}"], "'liver' is given twice"),
        (["a.b=1", "c=2", "a.b=1"], "--set a.b: is given 2 times"),
    ],
)
def test_set_takes_each_key_once(changes: list[str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        set_keys({}, changes)


def test_a_json_key_stands_once(tmp_path: Path) -> None:
    path = tmp_path / "meta.json"
    path.write_text('{"name": 1, "deep": {"x": 1, "x": 1}}')
    with pytest.raises(SettingsError, match="key 'x' is given twice"):
        read_json(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_byte_order_mark_is_no_content(tmp_path: Path, encoding: str) -> None:
    for name, load, text in (("a.yaml", read_yaml, "größe: 1"), ("a.json", read_json, '{"größe": 1}')):
        (tmp_path / name).write_text(text, encoding=encoding)
        assert load(tmp_path / name) == {"größe": 1}
    (tmp_path / "b.yaml").write_text("a: 1", encoding="utf-16")
    with pytest.raises(SettingsError, match="Save it as UTF-8"):
        read_yaml(tmp_path / "b.yaml")


def site(tmp_path: Path, liver: str, more: str = "") -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(f"modality: CT\ndata: {{root: ., datalist: d.json}}\nlabels: {{liver: {liver}}}\n{more}")
    return path


@pytest.mark.parametrize(
    ("liver", "words"),
    [
        *(
            (word, "labels: liver should be a whole number from 1")
            for word in ("no", "off", "1_0", "true", "1.0", '"1"')
        ),
        *((word, "labels: liver should be a whole number from 1") for word in ("[1, no]", "[true]", "[1, null]")),
        ("0", r"labels\.liver.*at least 1, found 0"),
        ("[1, 0]", r"labels\.liver.*at least 1, found 0"),
        ("-1", r"labels\.liver.*at least 1, found -1"),
        ("[]", r"labels\.liver"),
    ],
)
def test_a_label_has_whole_numbers_from_1(tmp_path: Path, liver: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load_site(site(tmp_path, liver))


@pytest.mark.parametrize(("liver", "values"), [("null", None), ("~", None), ("010", (10,)), ("0x0A", (10,))])
def test_values_of_a_label(tmp_path: Path, liver: str, values: tuple[int, ...] | None) -> None:
    assert load_site(site(tmp_path, liver)).labels == {"liver": values}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("threads: true", "threads: expected a number, found True"),
        ("threads: '3'", "threads: expected a number, found '3'"),
        ("threads: 1_0", "threads: expected a number, found '1_0'"),
        ("intensity: {slope: 1_0}", "intensity.slope: expected a number, found '1_0'"),
        ("intensity: {slope: no}", "intensity.slope"),
    ],
)
def test_nothing_is_read_as_another_type(tmp_path: Path, more: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load_site(site(tmp_path, "1", more))


def test_numbers_of_a_list_are_held_to_it_too(tmp_path: Path, task_content: dict[str, Any]) -> None:
    path = tmp_path / "task.yaml"
    path.write_text(json.dumps(task_content | {"patch": [16, "32"]}))
    with pytest.raises(SettingsError, match=r"patch\.1: expected a number, found '32'"):
        load_task(path)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(content=st.dictionaries(st.text(), values, max_size=3))
def test_what_is_written_reads_the_same_by_both_versions(content: dict[str, Any]) -> None:
    text = dump_yaml(content)
    assert load_yaml(text) == yaml.safe_load(text) == content


@pytest.mark.parametrize("text", ["1e3", "0o17", "no", "1_0", "null", "010", "2024-02-03", "~", ""])
def test_text_that_looks_like_another_type_is_quoted(text: str) -> None:
    written = dump_yaml({text: text})
    assert load_yaml(written) == yaml.safe_load(written) == {text: text}
