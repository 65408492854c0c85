// RUN: slmc opt --no-locations %s -p convert-tile-to-isa
// Equal views are one descriptor, equal sums one instruction; the number of tokens is set in front of the loop, the base in it.
// CHECK: isa.program "shared" {
// CHECK-NEXT: isa.descriptor "a" at 1024
// CHECK-NEXT: isa.descriptor "a" at 1056
// CHECK-NEXT: isa.lds "8" [[N:vx[0-9]+]], x0, 40
// CHECK-NEXT: isa.tdld [[A:vt[0-9]+]], x0, 1024
// CHECK-NEXT: isa.tdset "e1" [[A]], [[N]]
// CHECK-NEXT: isa.tdld [[B:vt[0-9]+]], x0, 1056
// CHECK-NEXT: isa.tdset "e1" [[B]], [[N]]
// CHECK-NEXT: isa.alu "add" [[I:vx[0-9]+]], x0, 0
// CHECK: isa.label
// CHECK-NEXT: isa.alu "add" [[SUM:vx[0-9]+]], [[I]], 4096
// CHECK-NEXT: isa.tdset "base" [[A]], [[SUM]]
// CHECK-NEXT: isa.vun "exp" [[A]], [[A]]
// CHECK-NEXT: isa.tdset "base" [[B]], [[SUM]]
// CHECK-NEXT: isa.vun "mov" [[A]], [[B]]
// CHECK-NEXT: isa.vun "exp" [[A]], [[A]]
// CHECK-NEXT: isa.alu "add" [[I]], [[I]], 64
builtin.module attributes {tile.smem_top = 1024 : i64} {
  func.func @shared() {
    %c0 = arith.constant 0 : index
    %c64 = arith.constant 64 : index
    %c512 = arith.constant 512 : index
    %n = tile.lds 8 + 40 : index
    %a = tile.alloc "a" in "sram" bytes 4096 at 4096 : !tile.buffer
    scf.for %i = %c0 to %c512 step %c64 {
      %v = tile.view %a in sram + %i + 0 as f32 [16, %n, 1, 1] strides [4, 64, 0, 0]
      tile.vun "exp" %v, %v
      %u = tile.view %a in sram + %i + 0 as i32 [16, %n, 1, 1] strides [4, 64, 0, 0]
      tile.vun "mov" %v, %u
      %w = tile.view %a in sram + %i + 0 as f32 [16, %n, 1, 1] strides [4, 64, 0, 0]
      tile.vun "exp" %w, %w
    }
    func.return
  }
}

// -----
// Nobody knows whether %n fits before the branch says that it is positive: tdset would trap. The load is free to leave the loop.
// CHECK: isa.program "guarded" {
// CHECK: isa.tdld [[A:vt[0-9]+]], x0, 1024
// CHECK: isa.label "[[LOOP:loop[0-9]+]]"
// CHECK-NEXT: isa.br "ge" x0, [[N:vx[0-9]+]], "[[END:end[0-9]+]]"
// CHECK-NEXT: isa.tdset "e1" [[A]], [[N]]
// CHECK-NEXT: isa.vun "exp" [[A]], [[A]]
// CHECK-NEXT: isa.label "[[END]]"
builtin.module attributes {tile.smem_top = 1024 : i64} {
  func.func @guarded() {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c8 = arith.constant 8 : index
    %n = tile.lds 8 + 40 : index
    %a = tile.alloc "a" in "sram" bytes 4096 at 4096 : !tile.buffer
    scf.for %i = %c0 to %c8 step %c1 {
      %some = arith.cmpi sgt, %n, %c0 : index
      scf.if %some {
        %v = tile.view %a in sram + 0 as f32 [16, %n, 1, 1] strides [4, 64, 0, 0]
        tile.vun "exp" %v, %v
      }
    }
    func.return
  }
}

// -----
// Here it is certain to be used, so what the branch says is no news.
// CHECK: isa.program "certain" {
// CHECK: isa.tdld [[A:vt[0-9]+]], x0, 1024
// CHECK-NEXT: isa.tdset "e1" [[A]], [[N:vx[0-9]+]]
// CHECK: isa.label "[[LOOP:loop[0-9]+]]"
// CHECK-NOT: isa.tdset
builtin.module attributes {tile.smem_top = 1024 : i64} {
  func.func @certain() {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c8 = arith.constant 8 : index
    %n = tile.lds 8 + 40 : index
    %a = tile.alloc "a" in "sram" bytes 4096 at 4096 : !tile.buffer
    scf.for %i = %c0 to %c8 step %c1 {
      %some = arith.cmpi sgt, %n, %c0 : index
      scf.if %some {
        %v = tile.view %a in sram + 0 as f32 [16, %n, 1, 1] strides [4, 64, 0, 0]
        tile.vun "exp" %v, %v
      }
      %w = tile.view %a in sram + 0 as f32 [16, %n, 1, 1] strides [4, 64, 0, 0]
      tile.vun "abs" %w, %w
    }
    func.return
  }
}

// -----
// A loop that may not run at all: what may be a wrong value is set behind its test.
// CHECK: isa.program "entering" {
// CHECK: isa.tdld [[A:vt[0-9]+]], x0, 1024
// CHECK: isa.br "ge" [[I:vx[0-9]+]], [[N:vx[0-9]+]], "[[DONE:done[0-9]+]]"
// CHECK-NEXT: isa.tdset "e1" [[A]], [[N]]
// CHECK-NEXT: isa.label
// CHECK-NEXT: isa.vun "exp" [[A]], [[A]]
builtin.module attributes {tile.smem_top = 1024 : i64} {
  func.func @entering() {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %n = tile.lds 8 + 40 : index
    %a = tile.alloc "a" in "sram" bytes 4096 at 4096 : !tile.buffer
    scf.for %i = %c0 to %n step %c1 {
      %v = tile.view %a in sram + 0 as f32 [16, %n, 1, 1] strides [4, 64, 0, 0]
      tile.vun "exp" %v, %v
    }
    func.return
  }
}
