// RUN: slmc opt --no-locations %s -p convert-tile-to-isa
// A descriptor says i4 (6), 2:4 sparsity (bit 0 of the format) and the logarithm of the group (5).
// CHECK: isa.program "f" {
// CHECK-NEXT: isa.descriptor "b" at 0 "0000000000060000040020000001100004000000100000000000000000000000"
// CHECK-NEXT: isa.descriptor "b" at 32 "4000000000460000400020000001100001000000400000000000000000000000"
// CHECK-NEXT: isa.descriptor "b" at 64 "0001000000561500400040000001100000000000180000000000000000000000"
// CHECK-NEXT: isa.descriptor "b" at 96 "0002000000160000020040000001100002000000040000000000000000000000"
// CHECK-NEXT: isa.tdld vt256, x0, 0
// CHECK-NEXT: isa.tdld vt257, x0, 32
// CHECK-NEXT: isa.tdld vt258, x0, 64
// CHECK-NEXT: isa.tdld vt259, x0, 96
// CHECK-NEXT: isa.mmg vt256, vt257, vt258, vt259
// CHECK-NEXT: isa.mmg acc vt256, vt257, vt258, vt259
// CHECK-NEXT: isa.halt
func.func @f() {
  %0 = tile.alloc "b" in "sram" bytes 4096 at 0 : !tile.buffer
  %c = tile.view %0 in sram + 0 as f32 [4, 2, 1, 1] strides [4, 16, 0, 0]
  %a = tile.view %0 in sram + 64 as i8 [64, 2, 1, 1] strides [1, 64, 0, 0]
  %b = tile.view %0 in sram + 256 as i4 group 32 sparse [64, 4, 1, 1] strides [0, 24, 0, 0]
  %s = tile.view %0 in sram + 512 as f16 [2, 4, 1, 1] strides [2, 4, 0, 0]
  tile.mmg %c, %a, %b scales %s
  tile.mmg %c, %a, %b scales %s accumulate
  func.return
}
