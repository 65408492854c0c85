"""Emits what makes descriptors, where compiler/selection/placement.py has decided."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import IntegerAttr, StringAttr, i64
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Operation, SSAValue

from compiler.dialects.isa import DescriptorOp, instruction
from compiler.errors import SMEM_HINT, CompileError
from compiler.locations import source_of
from compiler.selection.emitter import Emitter
from compiler.selection.placement import Placement, Placer, Setting
from compiler.selection.views import Field, Form
from isa.spec import SMEM_BYTES, TD_BYTES


class Descriptors:
    """Of one function: registers by placement, and the constant parts, which lie in SMEM from `address` on; equal ones once."""

    def __init__(self, emitter: Emitter, function: FuncOp, address: int):
        self.emitter = emitter
        self.plan = Placer(function).plan()
        self.address = address
        self.constants: dict[tuple[str, str], DescriptorOp] = {}
        self.addresses = {form: self.constant(form) for form in dict.fromkeys(self.plan.forms.values())}
        self.registers: dict[Placement, int] = {}
        self.sums: dict[tuple[SSAValue, int], int] = {}

    def constant(self, form: Form) -> int:
        """The address of the constant part of a descriptor in the SMEM image."""
        view = form.view
        try:
            key = (form.label, form.descriptor.pack().hex())
        except ValueError as error:
            raise CompileError(f"a tensor is too large for a descriptor: {error}", source_of(view.location)) from error
        if key not in self.constants:
            address = self.address + TD_BYTES * len(self.constants)
            if address + TD_BYTES > SMEM_BYTES:
                message = f"the program needs more than {SMEM_BYTES} bytes of SMEM"
                raise CompileError(message, source_of(view.location), hint=SMEM_HINT)
            properties: dict[str, Attribute] = {
                "address": IntegerAttr(address, i64),
                "label": StringAttr(key[0]),
                "content": StringAttr(key[1]),
            }
            self.constants[key] = DescriptorOp(properties=properties)
            self.constants[key].location = view.location
        return self.constants[key].address.value.data

    def before(self, op: Operation) -> None:
        """What stands in front of an op."""
        self.make(self.plan.before.get(op, ()))

    def entering(self, op: Operation) -> None:
        """What stands in front of the first iteration of a loop that runs."""
        self.make(self.plan.entering.get(op, ()))

    def make(self, settings: Sequence[Setting]) -> None:
        for setting in settings:
            placement, view = setting.placement, setting.placement.form.view
            if setting.field is None:
                self.registers[placement] = self.emitter.new_register()
                address = self.addresses[placement.form]
                self.emitter.emit(instruction("tdld", ta=self.registers[placement], rs=0, imm=address), view.location)
            else:
                source = self.sum(setting.field, setting)
                new = instruction("tdset", setting.field.name, ta=self.registers[placement], rs=source)
                self.emitter.emit(new, view.location)

    def sum(self, field: Field, setting: Setting) -> int:
        """The register of a field's value."""
        key = field.value, field.plus
        if setting.adds:
            self.sums[key] = self.emitter.add(
                self.emitter.register(field.value), field.plus, setting.placement.form.view.location
            )
        return self.sums[key] if field.plus else self.emitter.register(field.value)

    def register(self, op: Operation, view: SSAValue) -> int:
        """The descriptor register of a view that an instruction names."""
        return self.registers[self.plan.placements[op, self.plan.forms[view]]]
