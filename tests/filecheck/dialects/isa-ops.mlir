// RUN: slmc opt --no-locations %s
// RUN: slmc opt --generic %s | slmc opt --no-locations -
// CHECK: builtin.module {
// CHECK-NEXT: isa.program "generate" {
isa.program "generate" {
  // CHECK-NEXT: isa.descriptor "tokens" at 1536 "c001000000370000010010000001100004000000000000000000000000000000"
  isa.descriptor "tokens" at 1536 "c001000000370000010010000001100004000000000000000000000000000000"
  // CHECK-NEXT: isa.tdld t2, x0, 1664
  isa.tdld t2, x0, 1664
  // CHECK-NEXT: isa.lds "8" x1, x0, 40
  isa.lds "8" x1, x0, 40
  // CHECK-NEXT: isa.alu "add" x2, x0, 1
  isa.alu "add" x2, x0, 1
  // CHECK-NEXT: isa.alu "add" vx300, x1, x2
  isa.alu "add" vx300, x1, x2
  // CHECK-NEXT: isa.label "while1"
  isa.label "while1"
  // CHECK-NEXT: isa.br "eq" x2, x0, "done2"
  isa.br "eq" x2, x0, "done2"
  // CHECK-NEXT: isa.tdset "base" t17, 16384
  isa.tdset "base" t17, 16384
  // CHECK-NEXT: isa.tdset "e0" vt200, x3
  isa.tdset "e0" vt200, x3
  // CHECK-NEXT: isa.ld t0, t1
  isa.ld t0, t1
  // CHECK-NEXT: isa.mm t18, t15, t21
  isa.mm t18, t15, t21
  // CHECK-NEXT: isa.vbin "mul" t10, t0, t0
  isa.vbin "mul" t10, t0, t0
  // CHECK-NEXT: isa.vbin "mul" t10, t10, f 5.000000e-01 : f32
  isa.vbin "mul" t10, t10, f 5.000000e-01 : f32
  // CHECK-NEXT: isa.vmad "msub" t24, t24, t1, t27
  isa.vmad "msub" t24, t24, t1, t27
  // CHECK-NEXT: isa.vred "sum" t11, t10
  isa.vred "sum" t11, t10
  // CHECK-NEXT: isa.vsmx t64, t63, t59, x19, x20
  isa.vsmx t64, t63, t59, x19, x20
  // CHECK-NEXT: isa.vtopk t1, t0, x0
  isa.vtopk t1, t0, x0
  // CHECK-NEXT: isa.vun "mov" t0, f 0xff800000 : f32
  isa.vun "mov" t0, f 0xff800000 : f32
  // CHECK-NEXT: isa.st t53, t49
  isa.st t53, t49
  // CHECK-NEXT: isa.mark x3, 1
  isa.mark x3, 1
  // CHECK-NEXT: isa.yield x1, 1
  isa.yield x1, 1
  // CHECK-NEXT: isa.sts "4" x1, x0, 964
  isa.sts "4" x1, x0, 964
  // CHECK-NEXT: isa.jal x0, "while1"
  isa.jal x0, "while1"
  // CHECK-NEXT: isa.label "done2"
  isa.label "done2"
  // CHECK-NEXT: isa.halt
  isa.halt
// CHECK-NEXT: }
}
