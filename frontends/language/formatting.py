"""Syntax tree -> canonical text, for messages and for comparing conditions."""

from __future__ import annotations

from collections.abc import Mapping

from frontends.language import syntax
from frontends.language.syntax import Argument, Expression

_NO_NAMES: Mapping[str, str] = {}
_CONSTANTS = {True: "true", False: "false", None: "null"}


def expression_text(expression: Expression, renamed: Mapping[str, str] = _NO_NAMES, inner: bool = False) -> str:
    """The expression as it could be written, names replaced by `renamed`; `inner` adds parentheses to operators."""

    def text(node: Expression) -> str:
        return expression_text(node, renamed, True)

    match expression:
        case syntax.Number():
            return repr(expression.value)
        case syntax.Text():
            return f'"{expression.value}"'
        case syntax.Constant():
            return _CONSTANTS[expression.value]
        case syntax.Field():
            return expression.text
        case syntax.Name():
            return renamed.get(expression.name, expression.name)
        case syntax.Call():
            mark = "?" if expression.optional else ""
            arguments = ", ".join(_argument_text(argument, renamed) for argument in expression.arguments)
            return f"{text(expression.function)}{mark}({arguments})"
        case syntax.Index():
            return f"{text(expression.value)}[{expression_text(expression.index, renamed)}]"
        case syntax.ListOf():
            return "[" + ", ".join(expression_text(item, renamed) for item in expression.items) + "]"
        case syntax.Comprehension():
            stop = f"..{text(expression.stop)}" if expression.stop is not None else ""
            element = expression_text(expression.element, renamed)
            return f"[{element} for {expression.variable} in {text(expression.start)}{stop}]"
        case syntax.Reduce():
            element = expression_text(expression.element, renamed)
            return f"{text(expression.function)}({element} for {expression.variable} in {expression.group.name})"
        case syntax.Record():
            values = (expression_text(value, renamed) for value in expression.values)
            pairs = zip(expression.keys, values, strict=True)
            return "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}"
        case syntax.Unary() | syntax.Binary() | syntax.Conditional() | syntax.Arrow():
            result = _operator_text(expression, renamed)
            return f"({result})" if inner else result


def _operator_text(
    expression: syntax.Unary | syntax.Binary | syntax.Conditional | syntax.Arrow, renamed: Mapping[str, str]
) -> str:
    def text(node: Expression) -> str:
        return expression_text(node, renamed, True)

    match expression:
        case syntax.Unary():
            return f"{'not ' if expression.operator == 'not' else '-'}{text(expression.operand)}"
        case syntax.Binary():
            return f"{text(expression.left)} {expression.operator} {text(expression.right)}"
        case syntax.Conditional():
            return f"{text(expression.value)} if {text(expression.condition)} else {text(expression.otherwise)}"
        case syntax.Arrow():
            return f"{text(expression.inputs)} -> {text(expression.outputs)}"


def _argument_text(argument: Argument, renamed: Mapping[str, str] = _NO_NAMES) -> str:
    value = expression_text(argument.value, renamed)
    return f"{argument.name}={value}" if argument.name is not None else value


def declaration_text(declaration: syntax.WeightDeclaration) -> str:
    """`linear(d -> [H, hd], bias=attn_bias)`."""
    arguments = ", ".join(_argument_text(argument) for argument in declaration.arguments)
    return f"{declaration.kind.name}({arguments})"
