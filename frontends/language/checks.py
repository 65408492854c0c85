"""All static checks of one file."""

from frontends.language.syntax import ArchitectureFile


def check(file: ArchitectureFile) -> None:
    """Raises FrontendError for the first mistake that can be found without a config."""
