"""Statements of `forward`; a loop over a weight group becomes one slm.layers with a region per distinct layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xdsl.dialects.builtin import ModuleOp, TensorType, f32, i32
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region

from compiler.dialects import slm
from compiler.program import WeightStore
from frontends.configuration.declared import Group, Scope
from frontends.configuration.evaluator import Evaluator
from frontends.language import syntax
from frontends.language.catalogue import TOKEN_COUNT
from frontends.language.syntax import ArchitectureFile
from frontends.tracing.emitter import TOKENS, Emitter, Layer, Tensor
from frontends.tracing.expressions import ExpressionTracer
from frontends.tracing.images import split_images
from frontends.tracing.layer_scales import spread_scales, text_without_scales
from frontends.tracing.operations import token_shape


@dataclass(frozen=True)
class _Returned:
    """Wraps the value of a `return`, which ends the statements around it."""

    value: Any


@dataclass(frozen=True)
class _TracedLayer:
    """A layer's body with one argument for each tensor that existed before the loop, and those tensors after it."""

    block: Block
    after: dict[str, Tensor]


class Tracer(ExpressionTracer):
    """Traces one file's `forward`."""

    def run(self, body: tuple[syntax.Statement, ...], environment: dict[str, Any]) -> Any:
        result = self._statements(body, environment)
        return result.value if result is not None else None

    def _statements(self, body: tuple[syntax.Statement, ...], environment: dict[str, Any]) -> _Returned | None:
        for statement in body:
            match statement:
                case syntax.Assign():
                    environment[statement.name.name] = self.known(statement.value, environment)
                case syntax.Update():
                    old = self.name(syntax.Name(statement.name.place, statement.name.name), environment)
                    value = self.known(statement.value, environment)
                    new = self.tensor_arithmetic(statement.place, statement.operator, old, value)
                    environment[statement.name.name] = new
                case syntax.For():
                    self._layers(statement, environment)
                case syntax.If():
                    chosen = self.condition(statement.condition, environment)
                    result = self._statements(statement.then if chosen else statement.otherwise, environment)
                    if result is not None:
                        return result
                case syntax.Return():
                    return _Returned(self.known(statement.value, environment))
        return None

    def _layers(self, statement: syntax.For, environment: dict[str, Any]) -> None:
        group = environment[statement.group.name]
        assert isinstance(group, Group)
        if self.emitter.layer is not None:
            raise self.unavailable(statement.place, "a loop inside of a loop")
        if not group.members:
            return
        before = {name: value for name, value in environment.items() if isinstance(value, Tensor)}
        first_state, counts = self.state_count, [0]
        layers: list[_TracedLayer] = []
        for index in range(len(group.members)):
            self.state_count = first_state
            layers.append(self._layer(statement, group, index, before, environment))
            counts.append(self.state_count)
        self.state_count = max(counts)
        carried = _carried(before, layers)
        regions, order = _distinct_layers(carried, list(before), layers)
        operation = slm.LayersOp(group.name, order, [before[name].value for name in carried], regions)
        self.emitter.located(operation, statement.place)
        for name, out in zip(carried, operation.outs, strict=True):
            environment[name] = Tensor(out, before[name].shape, before[name].is_index)

    def _layer(
        self, statement: syntax.For, group: Group, index: int, before: dict[str, Tensor], environment: dict[str, Any]
    ) -> _TracedLayer:
        """Traces one layer into a block of its own; numbers that it changes are changed in `environment`."""
        block = Block(arg_types=[tensor.value.type for tensor in before.values()])
        arguments = {
            name: Tensor(argument, tensor.shape, tensor.is_index)
            for (name, tensor), argument in zip(before.items(), block.args, strict=True)
        }
        inner = {**environment, **arguments, **group.members[index], statement.variable.name: index}
        outside, self.emitter.block = self.emitter.block, block
        self.emitter.layer = Layer(group.name, index)
        self._statements(statement.body, inner)
        self.emitter.block, self.emitter.layer = outside, None
        after = {name: self._same_shape(statement, name, tensor, inner[name]) for name, tensor in before.items()}
        for name in environment:
            if name not in before and name not in group.members[index] and name != statement.variable.name:
                environment[name] = self._still_number(statement, name, inner[name])
        return _TracedLayer(block, after)

    def _same_shape(self, statement: syntax.For, name: str, before: Tensor, after: Any) -> Tensor:
        if not isinstance(after, Tensor) or after.shape != before.shape:
            found = token_shape(after) if isinstance(after, Tensor) else "a number"
            message = f'"{name}" enters the loop as {token_shape(before)} and leaves it as {found}'
            raise self.error(statement.place, message)
        return after

    def _still_number(self, statement: syntax.For, name: str, after: Any) -> Any:
        if isinstance(after, Tensor):
            raise self.error(statement.place, f'"{name}" enters the loop as a number and leaves it as a tensor')
        return after

    def input(self, parameter: syntax.Parameter) -> Tensor:
        """A further argument of forward: an image [C, h, w], or its mask [T]."""
        assert parameter.shape is not None
        sides = parameter.shape.items if isinstance(parameter.shape, syntax.ListOf) else (parameter.shape,)
        counts = [isinstance(side, syntax.Name) and side.name == TOKEN_COUNT for side in sides]
        is_mask = counts == [True]
        if not parameter.optional or not is_mask and (any(counts) or len(sides) != 3):
            raise self.unavailable(parameter.place, f'the input "{parameter.name}"')
        shape = (TOKENS,) if is_mask else self.dimensions(parameter.shape, self.globals)
        block = self.emitter.block
        argument = block.insert_arg(TensorType(i32 if is_mask else f32, shape), len(block.args))
        return Tensor(argument, shape, is_index=is_mask)


def _carried(before: dict[str, Tensor], layers: list[_TracedLayer]) -> list[str]:
    """The tensors that some layer reads, changes or hands on to another one."""
    carried: list[str] = []
    for position, name in enumerate(before):
        for layer in layers:
            argument = layer.block.args[position]
            handed_on = any(layer.after[other].value is argument for other in before if other != name)
            if argument.uses or handed_on or layer.after[name].value is not argument:
                carried.append(name)
                break
    return carried


def _distinct_layers(
    carried: list[str], names: list[str], layers: list[_TracedLayer]
) -> tuple[list[Region], list[int]]:
    """One region for each different body, and the region of each layer. Bodies are compared by their text."""
    bodies: list[Region] = []
    regions: list[Region] = []
    kind_of: dict[str, int] = {}
    order: list[int] = []
    for layer in layers:
        layer.block.add_op(slm.YieldOp.create(operands=[layer.after[name].value for name in carried]))
        for position in reversed(range(len(names))):
            if names[position] not in carried:
                layer.block.erase_arg(layer.block.args[position])
        region = Region(layer.block)
        bodies.append(region)
        kind = kind_of.setdefault(text_without_scales(region), len(regions))
        if kind == len(regions):
            regions.append(region)
        order.append(kind)
    spread_scales(bodies, regions, order)
    return regions, order


@dataclass(frozen=True)
class _Model:
    """What is traced: a file with its config and weights."""

    file: ArchitectureFile
    config: dict[str, Any]
    scope: Scope
    store: WeightStore
    origins: Evaluator


def trace(
    file: ArchitectureFile, config: dict[str, Any], scope: Scope, store: WeightStore, origins: Evaluator
) -> ModuleOp:
    """The module with `func.func @forward`: tokens [T] i32 -> logits [T, V] f32.

    If forward has an optional image, there are two more inputs, places [T] i32 and rows [n, d] f32, and the function
    @encode_image: pixels [C, h, w] f32 -> rows (frontends/tracing/images.py).
    """
    model = _Model(file, config, scope, store, origins)
    forward = _forward(model, with_inputs=False)
    functions = [forward]
    if len(file.functions["forward"].parameters) > 1:
        functions = split_images(file, _forward(model, with_inputs=True), forward)
    module = ModuleOp(functions)
    module.verify()
    return module


def _forward(model: _Model, with_inputs: bool) -> FuncOp:
    """forward as a function; the optional inputs are its further arguments, or absent."""
    file = model.file
    forward = file.functions["forward"]
    block = Block(arg_types=[TensorType(i32, [TOKENS])])
    emitter = Emitter(file.source.name, model.store, block)
    tracer = Tracer(file, model.config, model.scope, emitter, model.origins)
    environment = dict(tracer.globals)
    environment[forward.parameters[0].name] = Tensor(block.args[0], (TOKENS,), True)
    for parameter in forward.parameters[1:]:
        given = with_inputs or not parameter.optional
        environment[parameter.name] = tracer.input(parameter) if given else None
    logits = tracer.run(forward.body, environment)
    if not isinstance(logits, Tensor) or len(logits.shape) != 2 or logits.shape[0] != TOKENS:
        found = token_shape(logits) if isinstance(logits, Tensor) else "no tensor"
        raise file.source.error(forward.place, f"forward must return logits [T, V], found {found}")
    emitter.located(ReturnOp(logits.value), forward.place)
    function = FuncOp("forward", (list(block.arg_types), [TensorType(f32, logits.shape)]), Region(block))
    emitter.locate(function, forward.place)
    return function
