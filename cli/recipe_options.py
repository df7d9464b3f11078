"""The options of a recipe, derived from its settings: for `scene train` and `scene tune`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from inference.settings.recipes import RECIPES, Recipe, recipe
from inference.settings.settings import OPTIONS, TITLES
from inference.settings.training import TRACKERS

from .completion import complete_data, complete_run, complete_words

Command = TypeVar("Command", bound=Callable[..., None])


def parameters(one: Recipe, group: str = "") -> list[inspect.Parameter]:
    """Return a parameter for each option that a recipe uses, with the recipe's own default.

    Args:
        one: The recipe.
        group: The group of settings of the options; empty = all.
    """
    return [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[_kind(option), _typer_option(option)],
        )
        for name, option in one.options().items()
        if group in ("", option.group)
    ]


def _completion(option: Any) -> Callable[[str], Any] | None:
    """Return what completes the value of an option; None = the shell's own way."""
    if option.choice.metavar == "DATA":
        return complete_data
    if option.choice.metavar == "RUN":
        return complete_run
    words = TRACKERS if option.name == "log" else option.choice.choices
    return complete_words(words) if words else None


def _kind(option: Any) -> Any:
    """Return the type that Typer parses; what holds commas, words or units stays text."""
    return (option.base if not option.is_text and not option.choice.metavar else str) | None


def _typer_option(option: Any) -> Any:
    choice = option.choice
    names = [option.flag]
    if option.base is bool:
        names = [f"{option.flag}/--no-{option.flag[2:]}"]
    return typer.Option(
        *names,
        *choice.also,
        help=option.help(option.default),
        rich_help_panel=TITLES[option.group],
        show_default=False,
        metavar=choice.metavar or None,
        autocompletion=_completion(option),
    )


def with_options(function: Callable[..., None], one: Recipe) -> Callable[..., None]:
    """Return a function that also takes a recipe's options, and hands them on as keywords.

    Args:
        function: Takes ``recipe`` first, and any keywords (``**values``) beside its own.
        one: The recipe.
    """
    own = inspect.signature(function, eval_str=True).parameters.values()
    fixed = [p for p in own if p.kind is not p.VAR_KEYWORD and p.name != "recipe"]
    both = [*fixed, *(p for p in parameters(one) if p.name not in {f.name for f in fixed})]

    def command(**values: Any) -> None:
        function(recipe=one.name, **values)

    command.__doc__ = f"{one.about}\n\n{inspect.getdoc(function) or ''}"
    setattr(command, "__signature__", inspect.Signature(both))  # noqa: B010
    command.__annotations__ = {p.name: p.annotation for p in both}
    return command


def with_group(word: str, group: str, *without: str) -> Callable[[Command], Command]:
    """Return a decorator that adds a group's options to a command that takes ``**values``.

    Args:
        word: The recipe.
        group: The group of settings.
        without: Options of it that are left out.
    """

    def decorate(function: Command) -> Command:
        own = inspect.signature(function, eval_str=True).parameters.values()
        fixed = [p for p in own if p.kind is not p.VAR_KEYWORD]
        more = [p for p in parameters(recipe(word), group) if p.name not in without]
        setattr(function, "__signature__", inspect.Signature([*fixed, *more]))  # noqa: B010
        function.__annotations__ = {p.name: p.annotation for p in (*fixed, *more)}
        return function

    return decorate


def typed_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of options that were typed."""
    return {name: v for name, v in values.items() if name in OPTIONS and v is not None}


class RecipeCommand(TyperCommand):
    """A recipe's command, which names an option that goes elsewhere as such."""

    elsewhere: ClassVar[Mapping[str, str]] = {}

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what was typed.

        Raises:
            ValueError: If it holds an option that this recipe does not use.
        """
        typed = [word.partition("=")[0] for word in args]  # parsing empties the list
        try:
            return super().parse_args(ctx, args)
        except Exception as error:  # Typer has Click within it or beside it, as its version has it
            flag = str(getattr(error, "option_name", ""))
            if type(error).__name__ != "NoSuchOption":
                raise
            if flag in self.elsewhere:
                raise ValueError(self.elsewhere[flag]) from None
            own = {word for one in self.params for word in (*one.opts, *one.secondary_opts)}
            idle = [word for word in dict.fromkeys(typed) if word in _FLAGS and word not in own]
            if flag not in idle:
                raise
            raise ValueError(
                f"The recipe {self.name} does not use {', '.join(idle)}; leave "
                f"{'it' if len(idle) == 1 else 'them'} out."
            ) from None


class RecipeGroup(TyperGroup):
    """Commands by recipe, each constructed on demand; a user's own recipes included.

    A subclass says with ``function`` what they do, and with ``elsewhere`` what to answer to
    options that do not go after a recipe.
    """

    function: Callable[..., None]
    elsewhere: ClassVar[Mapping[str, str]] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        """List the recipes."""
        return list(RECIPES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of a recipe.

        Raises:
            LookupError: If there is no such recipe.
            ValueError: If the name stands for something else.
        """
        one = recipe(cmd_name)
        single = typer.Typer(add_completion=False, rich_markup_mode="rich")
        kind = type("Command", (RecipeCommand,), {"elsewhere": type(self).elsewhere})
        single.command(cmd_name, cls=kind)(with_options(type(self).function, one))
        command: Any = get_command(single)
        command.name, command.short_help = cmd_name, one.about
        return command


_FLAGS = {flag for option in OPTIONS.values() for flag in (option.flag, *option.choice.also)}
