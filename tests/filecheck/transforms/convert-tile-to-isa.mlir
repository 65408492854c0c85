// RUN: slmc opt --no-locations %s -p convert-tile-to-isa
// The loop is tested once before and then at its end; inside it only the base of the view is set.
// CHECK: isa.program "generate" {
// CHECK-NEXT: isa.descriptor "y" at 1024 "0010{{[0-9a-f]+}}"
// CHECK-NEXT: isa.descriptor "x" at 1056 "0000{{[0-9a-f]+}}"
// CHECK-NEXT: isa.lds "8" [[N:vx[0-9]+]], x0, 40
// CHECK-NEXT: isa.tdld [[Y:vt[0-9]+]], x0, 1024
// CHECK-NEXT: isa.tdld [[X:vt[0-9]+]], x0, 1056
// CHECK-NEXT: isa.alu "add" [[I:vx[0-9]+]], x0, 0
// CHECK-NEXT: isa.br "ge" [[I]], [[N]], "[[DONE:.*]]"
// CHECK-NEXT: isa.label "[[LOOP:.*]]"
// CHECK-NEXT: isa.tdset "base" [[X]], [[I]]
// CHECK-NEXT: isa.vun "exp" [[Y]], [[X]]
// CHECK-NEXT: isa.alu "add" [[I]], [[I]], 64
// CHECK-NEXT: isa.br "lt" [[I]], [[N]], "[[LOOP]]"
// CHECK-NEXT: isa.label "[[DONE]]"
// CHECK-NEXT: isa.halt
builtin.module attributes {tile.smem_top = 1024 : i64} {
  func.func @generate() {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 64 : index
    %n = tile.lds 8 + 40 : index
    %b = tile.alloc "x" in "sram" bytes 4096 at 0 : !tile.buffer
    %y = tile.alloc "y" in "sram" bytes 4096 at 4096 : !tile.buffer
    %yv = tile.view %y in sram + 0 as f32 [16, 1, 1, 1] strides [4, 0, 0, 0]
    scf.for %i = %c0 to %n step %c1 {
      %v = tile.view %b in sram + %i + 0 as f32 [16, 1, 1, 1] strides [4, 0, 0, 0]
      tile.vun "exp" %yv, %v
    }
    func.return
  }
}
