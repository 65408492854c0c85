"""Texts to tokens and back: the tokenizer and the chat template of a checkpoint or an executable."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from frontends.chat.rendering import Chat
from frontends.inputs import read_text_files
from frontends.tokenizer import TextTokenizer
from isa.container import Executable
from slmc.errors import CommandError
from slmc.executables import is_executable


@dataclass(frozen=True)
class Texts:
    """Either may be missing. `missing`: what is to be said if there is no tokenizer; `place`: the file, for messages."""

    tokenizer: TextTokenizer | None
    chat: Chat | None
    missing: str
    place: str = ""

    @staticmethod
    def of_executable(executable: Executable) -> Texts:
        """Raises FrontendError for a tokenizer that cannot be read."""
        content, chat = executable.meta["tokenizer"], executable.meta.get("chat")
        return Texts(
            None if content is None else TextTokenizer(content.encode("utf-8"), str(executable.path)),
            None if chat is None else Chat(chat["template"], chat["special_tokens"]),
            "the executable has no tokenizer, so a prompt is a list of token ids (--tokens)",
        )

    @staticmethod
    def of_path(path: Path) -> Texts:
        """Of a Hugging Face directory, a GGUF file, a tokenizer.json or an executable. Raises FrontendError."""
        if is_executable(path):
            return Texts.of_executable(Executable.open(path, verify=False))
        files = read_text_files(path)
        content = files.tokenizer_json
        return Texts(
            None if content is None else TextTokenizer(content, str(path)),
            None if files.chat_template is None else Chat(files.chat_template, files.special_tokens),
            "; ".join(files.notes) or "there is no tokenizer",
            str(path),
        )

    def known_tokenizer(self) -> TextTokenizer:
        """Raises CommandError if there is none."""
        if self.tokenizer is None:
            raise CommandError(self.missing, place=self.place)
        return self.tokenizer

    def encode(self, text: str) -> list[int]:
        """The ids of a text, with those that the tokenizer puts before and after it."""
        return self.known_tokenizer().encode(text)

    def encode_chat(self, message: str, system: str | None) -> list[int]:
        """The ids of a message in the chat template, which writes the tokens that begin a text itself."""
        if self.chat is None:
            hint = "give the prompt as the model expects it, without --chat"
            raise CommandError("there is no chat template", hint, self.place)
        return self.known_tokenizer().encode(self.chat.prompt(message, system), bare=True)
