"""Chat templates: where they are found, what they may do, what stops them, and what the tokens are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, processors
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from frontends import FrontendError
from frontends.chat import rendering
from frontends.chat.rendering import Chat
from frontends.chat.template import read_chat_files
from frontends.tokenizer import TextTokenizer
from slmc.errors import CommandError
from slmc.texts import Texts

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA2 = r"""{%- if messages[0]['role'] == 'system' %}
    {%- set system = '<<SYS>>\n' + messages[0]['content'] + '\n<</SYS>>\n\n' %}
    {%- set rest = messages[1:] %}
{%- else %}
    {%- set system = '' %}
    {%- set rest = messages %}
{%- endif %}
{%- for message in rest %}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
    {%- endif %}
    {{- bos_token + '[INST] ' + (system if loop.first else '') + message['content'] | trim + ' [/INST]' }}
{%- endfor %}"""


def test_chatml() -> None:
    assert Chat(CHATML).prompt("Hi\nthere") == "<|im_start|>user\nHi\nthere<|im_end|>\n<|im_start|>assistant\n"
    assert (
        Chat(CHATML)
        .prompt("Hi", "Be brief.")
        .startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi")
    )


def test_llama2_style() -> None:
    chat = Chat(LLAMA2, {"bos_token": "<s>"})
    assert chat.prompt(" Hi ") == "<s>[INST] Hi [/INST]"
    assert chat.prompt("Hi", "S") == "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nHi [/INST]"
    with pytest.raises(FrontendError) as caught:
        chat.render([{"role": "assistant", "content": "x"}])
    assert caught.value.render().split("\n") == [
        "the chat template:10:1: error: cannot be applied: "
        "Conversation roles must alternate user/assistant/user/assistant/...",
        "            {{- raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}",
        "    ^",
    ]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ messages | tojson }}", '[{"role": "user", "content": "é<&"}]'),
        ("{{ messages | tojson(indent=1) }}", '[\n {\n  "role": "user",\n  "content": "é<&"\n }\n]'),
        ("{{ tools is none }} {{ documents is none }} {{ other is defined }}", "True True False"),
        ("{{ strftime_now('%Y') | length }}", "4"),
        ("{% generation %}a{% endgeneration %}b", "ab"),
        ("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01"),
        ("  {% if true %}\n  x\n  {% endif %}\n", "  x\n"),
        ("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}", "1"),
        ("{% macro f(x) %}<{{ x }}>{% endmacro %}{{ f(messages[0].content) }}", "<é<&>"),
        ("{{ messages[0].content.split('<')[0].upper() }}", "É"),
    ],
)
def test_what_templates_use(template: str, text: str) -> None:
    assert Chat(template).prompt("é<&") == text


@pytest.mark.parametrize(
    ("template", "line", "message"),
    [
        ("a\n{{ x", 2, "unexpected end of template"),
        ("{% for %}", 1, "Expected an expression"),
        ("\n\n{{ messages[7].role.x }}", 3, "list object has no element 7"),
        ("{{ nothing.x }}", 1, "'nothing' is undefined"),
        ("{{ raise_exception('System role\nnot supported') }}", 1, "cannot be applied: System role not supported"),
        ("{{ 1 / 0 }}", 1, "division by zero"),
        ("{{ ''.__class__.__mro__ }}", 1, "access to attribute '__class__' of 'str' object is unsafe"),
        ("{{ messages.append(1) }}", 1, "access to attribute 'append' of 'list' object is unsafe"),
        ("{{ cycler.__init__.__globals__ }}", 1, "is unsafe"),
        ("{% include '/etc/passwd' %}", 1, "no loader for this environment specified"),
        ("{% import 'os' as os %}", 1, "no loader for this environment specified"),
        ("{{ range(1000000) }}", 1, "Range too big"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", 0, "it is nested too deeply"),
        ("{{ 'a' * 99999999999 }}", 0, "it needs too much memory"),
        ("{{ '%999999999999d' % 1 }}", 0, ""),
        ("{% for i in range(9999) %}{{ 'a' * 9999 }}{% endfor %}", 0, "it writes more than 4194304 characters"),
    ],
)
def test_errors_of_templates(template: str, line: int, message: str) -> None:
    with pytest.raises(FrontendError) as caught:
        Chat(template).prompt("x")
    assert message in caught.value.message
    assert (caught.value.file, caught.value.line if line else 0) == ("the chat template", line)


def test_a_template_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "SECONDS", 1)
    loops = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    with pytest.raises(FrontendError, match="took more than 1 seconds"):
        Chat(loops).prompt("x")


def test_a_template_that_is_too_large() -> None:
    with pytest.raises(FrontendError, match="is larger than 1048576 bytes"):
        Chat("x" * (1 << 20) + "y").prompt("x")


def test_a_module_beside_the_checkpoint_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jinja2.py").write_text("raise SystemExit('imported')")
    (tmp_path / "json.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    assert Chat("ok").prompt("x") == "ok"


def _directory(path: Path, config: dict[str, Any] | None, template: str | None = None) -> Path:
    if config is not None:
        (path / "tokenizer_config.json").write_text(json.dumps(config))
    if template is not None:
        (path / "chat_template.jinja").write_text(template)
    return path


@pytest.mark.parametrize(
    ("config", "file", "expected"),
    [
        (None, None, None),
        ({}, None, None),
        ({"chat_template": "A"}, None, "A"),
        ({"chat_template": "A"}, "B", "B"),
        (None, "B", "B"),
        ({"chat_template": [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "A"}]}, None, "A"),
        ({"chat_template": [{"name": "tool_use", "template": "T"}]}, None, "T"),
        ({"chat_template": [{"name": "a", "template": "T"}, {"name": "b", "template": "A"}]}, None, None),
    ],
)
def test_where_templates_are(
    config: dict[str, Any] | None, file: str | None, expected: str | None, tmp_path: Path
) -> None:
    assert read_chat_files(_directory(tmp_path, config, file))[0] == expected


def test_special_tokens_of_the_config(tmp_path: Path) -> None:
    config = {
        "bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": False}, "pad_token": None, "add_bos_token": True,
        "model_max_length": 1000000000000000019884624838656, "chat_template": "x",
    }  # fmt: skip
    assert read_chat_files(_directory(tmp_path, config)) == ("x", {"bos_token": "<s>", "eos_token": "</s>"})


def test_a_wrong_template_field(tmp_path: Path) -> None:
    for value in (3, [], [{"name": "x"}], {"default": "x"}):
        with pytest.raises(
            FrontendError, match="chat_template must be a template or a list of {name, template}"
        ) as caught:
            read_chat_files(_directory(tmp_path, {"chat_template": value or [3]}))
        assert caught.value.file.endswith("tokenizer_config.json")


@pytest.fixture
def texts() -> Texts:
    """A tokenizer that puts <s> before every text, and a template that writes it too."""
    tokenizer = Tokenizer(WordLevel({"<s>": 0, "hi": 1, "user": 2, "?": 3}, unk_token="?"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.add_special_tokens(["<s>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    chat = Chat("{{ bos_token }} {{ messages[-1].role }} {{ messages[-1].content }}", {"bos_token": "<s>"})
    return Texts(TextTokenizer(tokenizer.to_str().encode()), chat, "none")


def test_special_tokens_are_not_added_twice(texts: Texts) -> None:
    assert texts.encode("hi") == [0, 1]
    assert texts.encode_chat("hi", None) == [0, 2, 1]


def test_what_is_missing(texts: Texts) -> None:
    with pytest.raises(CommandError, match="there is no chat template"):
        replace(texts, chat=None).encode_chat("hi", None)
    with pytest.raises(CommandError, match="none"):
        replace(texts, tokenizer=None).encode_chat("hi", None)
