// RUN: slmc opt --no-locations %s -p allocate-registers
// Values that are not live at the same time share a register; the move disappears.
// CHECK: isa.lds "8" x1, x0, 40
// CHECK-NEXT: isa.alu "add" x2, x1, 4
// CHECK-NEXT: isa.alu "add" x1, x2, x1
// CHECK-NEXT: isa.tdld t0, x0, 1024
// CHECK-NEXT: isa.tdset "base" t0, x1
// CHECK-NEXT: isa.vun "exp" t0, t0
// CHECK-NEXT: isa.halt
isa.program "generate" {
  isa.lds "8" vx256, x0, 40
  isa.alu "add" vx257, vx256, 4
  isa.alu "add" vx258, vx257, vx256
  isa.alu "add" vx259, vx258, 0
  isa.tdld vt256, x0, 1024
  isa.tdset "base" vt256, vx259
  isa.vun "exp" vt256, vt256
  isa.halt
}
// -----
// Forty live values do not fit in 31 registers: some live in SMEM behind the descriptors, stored after the write, loaded before the read.
// CHECK: isa.lds "8" [[X:x[0-9]+]], x0, {{[0-9]+}}
// CHECK-NEXT: isa.sts "8" [[X]], x0, [[SLOT:4[0-9]+]]
// CHECK: isa.lds "8" [[Z:x[0-9]+]], x0, [[SLOT]]
// CHECK-NEXT: isa.sts "8" [[Z]], x0,
// CHECK-NOT: vx
// CHECK: isa.halt
isa.program "generate" {
  isa.descriptor "last" at 4064 "0010000000060000100010000001100004000000000000000000000000000000"
  isa.lds "8" vx256, x0, 0
  isa.lds "8" vx257, x0, 8
  isa.lds "8" vx258, x0, 16
  isa.lds "8" vx259, x0, 24
  isa.lds "8" vx260, x0, 32
  isa.lds "8" vx261, x0, 40
  isa.lds "8" vx262, x0, 48
  isa.lds "8" vx263, x0, 56
  isa.lds "8" vx264, x0, 64
  isa.lds "8" vx265, x0, 72
  isa.lds "8" vx266, x0, 80
  isa.lds "8" vx267, x0, 88
  isa.lds "8" vx268, x0, 96
  isa.lds "8" vx269, x0, 104
  isa.lds "8" vx270, x0, 112
  isa.lds "8" vx271, x0, 120
  isa.lds "8" vx272, x0, 128
  isa.lds "8" vx273, x0, 136
  isa.lds "8" vx274, x0, 144
  isa.lds "8" vx275, x0, 152
  isa.lds "8" vx276, x0, 160
  isa.lds "8" vx277, x0, 168
  isa.lds "8" vx278, x0, 176
  isa.lds "8" vx279, x0, 184
  isa.lds "8" vx280, x0, 192
  isa.lds "8" vx281, x0, 200
  isa.lds "8" vx282, x0, 208
  isa.lds "8" vx283, x0, 216
  isa.lds "8" vx284, x0, 224
  isa.lds "8" vx285, x0, 232
  isa.lds "8" vx286, x0, 240
  isa.lds "8" vx287, x0, 248
  isa.lds "8" vx288, x0, 256
  isa.lds "8" vx289, x0, 264
  isa.lds "8" vx290, x0, 272
  isa.lds "8" vx291, x0, 280
  isa.lds "8" vx292, x0, 288
  isa.lds "8" vx293, x0, 296
  isa.lds "8" vx294, x0, 304
  isa.lds "8" vx295, x0, 312
  isa.sts "8" vx256, x0, 0
  isa.sts "8" vx257, x0, 8
  isa.sts "8" vx258, x0, 16
  isa.sts "8" vx259, x0, 24
  isa.sts "8" vx260, x0, 32
  isa.sts "8" vx261, x0, 40
  isa.sts "8" vx262, x0, 48
  isa.sts "8" vx263, x0, 56
  isa.sts "8" vx264, x0, 64
  isa.sts "8" vx265, x0, 72
  isa.sts "8" vx266, x0, 80
  isa.sts "8" vx267, x0, 88
  isa.sts "8" vx268, x0, 96
  isa.sts "8" vx269, x0, 104
  isa.sts "8" vx270, x0, 112
  isa.sts "8" vx271, x0, 120
  isa.sts "8" vx272, x0, 128
  isa.sts "8" vx273, x0, 136
  isa.sts "8" vx274, x0, 144
  isa.sts "8" vx275, x0, 152
  isa.sts "8" vx276, x0, 160
  isa.sts "8" vx277, x0, 168
  isa.sts "8" vx278, x0, 176
  isa.sts "8" vx279, x0, 184
  isa.sts "8" vx280, x0, 192
  isa.sts "8" vx281, x0, 200
  isa.sts "8" vx282, x0, 208
  isa.sts "8" vx283, x0, 216
  isa.sts "8" vx284, x0, 224
  isa.sts "8" vx285, x0, 232
  isa.sts "8" vx286, x0, 240
  isa.sts "8" vx287, x0, 248
  isa.sts "8" vx288, x0, 256
  isa.sts "8" vx289, x0, 264
  isa.sts "8" vx290, x0, 272
  isa.sts "8" vx291, x0, 280
  isa.sts "8" vx292, x0, 288
  isa.sts "8" vx293, x0, 296
  isa.sts "8" vx294, x0, 304
  isa.sts "8" vx295, x0, 312
  isa.halt
}
