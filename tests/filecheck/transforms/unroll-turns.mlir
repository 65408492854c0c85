// RUN: slmc opt --no-locations %s -p unroll-turns,simplify-indices,canonicalize,cse
// Seven turns: the first one in front, then two in one. Each copy has its half, and the carried offset goes on.
// CHECK: func.func @odd() {
// CHECK: %b = tile.alloc "weights" in "sram" bytes 2048 at 0 : !tile.buffer
// CHECK: %[[A:.*]] = tile.view %b in sram + 16 as u8
// CHECK: tile.load %[[A]],
// CHECK: scf.for %[[I:.*]] = %{{.*}} to %{{.*}} step %{{.*}} iter_args(%[[O:.*]] = %{{.*}}) -> (index) {
// CHECK-NEXT: %[[B:.*]] = tile.view %b in sram + 1040 as u8
// CHECK-NEXT: %{{.*}} = tile.view weight + %[[O]] + 0 as u8
// CHECK-NEXT: tile.load %[[B]],
// CHECK-NEXT: %{{.*}} = tile.view weight + %[[O]] + 100 as u8
// CHECK-NEXT: tile.load %[[A]],
// CHECK-NEXT: %[[LAST:.*]] = arith.addi %[[O]], %{{.*}} : index
// CHECK-NEXT: scf.yield %[[LAST]] : index
// CHECK-NEXT: } {tile.trips = 7 : i64}
func.func @odd() {
  %c0 = arith.constant 0 : index
  %c7 = arith.constant 7 : index
  %c1 = arith.constant 1 : index
  %start = tile.lds 8 + 40 : index
  %end, %turn = scf.for %i = %c0 to %c7 step %c1 iter_args(%o = %start, %t = %c0) -> (index, index) {
    %b = tile.alloc "weights" in "sram" bytes 2048 at 0 : !tile.buffer
    %v = tile.view %b in sram + %t + 16 as u8 [100, 1, 1, 1] strides [1, 0, 0, 0]
    %w = tile.view weight + %o + 0 as u8 [100, 1, 1, 1] strides [1, 0, 0, 0]
    tile.load %v, %w
    %c100 = arith.constant 100 : index
    %next = arith.addi %o, %c100 : index
    %c1024 = arith.constant 1024 : index
    %other = arith.subi %c1024, %t : index
    scf.yield %next, %other : index, index
  }
  func.return
}

// -----
// A turn that is handed on is not known, but does not change within the loop; behind an even number of turns it is the same.
// CHECK: func.func @handed_on() {
// CHECK: %[[FIRST:.*]] = tile.lds 8 + 40 : index
// CHECK: %[[TOTAL:.*]] = arith.constant 1024 : index
// CHECK: %[[SECOND:.*]] = arith.subi %[[TOTAL]], %[[FIRST]] : index
// CHECK: scf.for
// CHECK-NEXT: tile.event 1 %[[FIRST]]
// CHECK-NEXT: tile.event 1 %[[SECOND]]
// CHECK-NEXT: } {tile.trips = 6 : i64}
// CHECK-NEXT: tile.event 2 %[[FIRST]]
func.func @handed_on() {
  %c0 = arith.constant 0 : index
  %c6 = arith.constant 6 : index
  %c1 = arith.constant 1 : index
  %first = tile.lds 8 + 40 : index
  %turn = scf.for %i = %c0 to %c6 step %c1 iter_args(%t = %first) -> (index) {
    tile.event 1 %t
    %c1024 = arith.constant 1024 : index
    %other = arith.subi %c1024, %t : index
    scf.yield %other : index
  }
  tile.event 2 %turn
  func.return
}

// -----
// Few turns: no loop is left, and what is known of branches and numbers is worked out.
// CHECK: func.func @few() {
// CHECK-NEXT: %[[ZERO:.*]] = arith.constant 0 : index
// CHECK-NEXT: %[[OTHER:.*]] = arith.constant 64 : index
// CHECK-NEXT: tile.event 1 %[[ZERO]]
// CHECK-NEXT: tile.event 2 %[[OTHER]]
// CHECK-NEXT: tile.event 2 %[[ZERO]]
// CHECK-NEXT: tile.event 3 %[[OTHER]]
// CHECK-NEXT: func.return
func.func @few() {
  %c0 = arith.constant 0 : index
  %c3 = arith.constant 3 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %turn = scf.for %i = %c0 to %c3 step %c1 iter_args(%t = %c0) -> (index) {
    %is_first = arith.cmpi eq, %i, %c0 : index
    scf.if %is_first {
      tile.event 1 %t
    } else {
      tile.event 2 %t
    }
    %other = arith.subi %c64, %t : index
    scf.yield %other : index
  }
  tile.event 3 %turn
  func.return
}

// -----
// A loop that ends who knows when stays; the loop around it has two of them, although it has few iterations.
// CHECK: func.func @unknown() {
// CHECK: scf.for %{{.*}} = %{{.*}} to %{{.*}} step %{{.*}} {
// CHECK: scf.for %{{.*}} = %{{.*}} to %{{.*}} step %{{.*}} iter_args(%[[U:.*]] = %{{.*}}) -> (index) {
// CHECK-NEXT: tile.event 1 %[[U]]
// CHECK: tile.event 2
// CHECK: scf.for %{{.*}} = %{{.*}} to %{{.*}} step %{{.*}} iter_args(%[[V:.*]] = %{{.*}}) -> (index) {
// CHECK-NEXT: tile.event 1 %[[V]]
// CHECK: tile.event 2
// CHECK-NEXT: } {tile.trips = 4 : i64}
func.func @unknown() {
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %n = tile.lds 8 + 40 : index
  %turn = scf.for %i = %c0 to %c4 step %c1 iter_args(%t = %c0) -> (index) {
    %inner = scf.for %j = %c0 to %n step %c1 iter_args(%u = %c0) -> (index) {
      tile.event 1 %u
      %next = arith.subi %c64, %u : index
      scf.yield %next : index
    }
    tile.event 2 %t
    %other = arith.subi %c64, %t : index
    scf.yield %other : index
  }
  func.return
}
