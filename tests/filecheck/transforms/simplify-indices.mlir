// RUN: slmc opt --no-locations %s -p simplify-indices,canonicalize,cse
// The index is a multiple of 64, so the quotient is whole; the constants end in the views.
// CHECK: func.func @affine() {
// CHECK: scf.for %i = %{{.*}} to %{{.*}} step %{{.*}} {
// CHECK-NEXT: %[[BASE:.*]] = arith.muli %i, %{{.*}} : index
// CHECK-NEXT: %{{.*}} = tile.view scratch + %[[BASE]] + 100 as f32
// CHECK-NEXT: %{{.*}} = tile.view scratch + %[[BASE]] + 33124 as f32
// CHECK-NEXT: tile.load
func.func @affine() {
  %c64 = arith.constant 64 : index
  %c512 = arith.constant 512 : index
  %size = arith.constant 33024 : index
  scf.for %i = %c64 to %c512 step %c64 {
    %before = arith.subi %i, %c64 : index
    %first = arith.divsi %before, %c64 : index
    %a = arith.muli %first, %size : index
    %second = arith.divsi %i, %c64 : index
    %b = arith.muli %second, %size : index
    %v = tile.view scratch + %a + 33124 as f32 [64, 1, 1, 1] strides [4, 0, 0, 0]
    %w = tile.view scratch + %b + 33124 as f32 [64, 1, 1, 1] strides [4, 0, 0, 0]
    tile.load %v, %w
  }
  func.return
}

// -----
// Of an index that is no multiple the quotient stays.
// CHECK: func.func @not_whole() {
// CHECK: scf.for
// CHECK-NEXT: %[[Q:.*]] = arith.divsi %i, %{{.*}} : index
// CHECK-NEXT: %[[P:.*]] = arith.muli %[[Q]], %{{.*}} : index
// CHECK-NEXT: tile.event 1 %[[P]]
func.func @not_whole() {
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %c512 = arith.constant 512 : index
  scf.for %i = %c1 to %c512 step %c64 {
    %first = arith.divsi %i, %c64 : index
    %a = arith.muli %first, %c512 : index
    tile.event 1 %a
  }
  func.return
}

// -----
// An index from 64 to 448 is never 0 and always below 512, but not always below 448.
// CHECK: func.func @branches() {
// CHECK: scf.for
// CHECK-NEXT: tile.event 1 %i
// CHECK-NEXT: tile.event 2 %i
// CHECK-NEXT: %[[C:.*]] = arith.cmpi slt, %i, %{{.*}} : index
// CHECK-NEXT: scf.if %[[C]] {
// CHECK-NEXT: tile.event 3 %i
func.func @branches() {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %c448 = arith.constant 448 : index
  %c512 = arith.constant 512 : index
  scf.for %i = %c64 to %c512 step %c64 {
    %is_first = arith.cmpi eq, %i, %c0 : index
    scf.if %is_first {
      tile.event 0 %i
    } else {
      tile.event 1 %i
    }
    %below = arith.cmpi slt, %i, %c512 : index
    scf.if %below {
      tile.event 2 %i
    }
    %perhaps = arith.cmpi slt, %i, %c448 : index
    scf.if %perhaps {
      tile.event 3 %i
    }
  }
  func.return
}

// -----
// A branch within one that is never taken goes with it.
// CHECK: func.func @nested() {
// CHECK: scf.for
// CHECK-NEXT: tile.event 2 %i
// CHECK-NEXT: }
func.func @nested() {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %c512 = arith.constant 512 : index
  scf.for %i = %c64 to %c512 step %c64 {
    %is_first = arith.cmpi eq, %i, %c0 : index
    scf.if %is_first {
      %below = arith.cmpi slt, %i, %c512 : index
      scf.if %below {
        tile.event 1 %i
      }
    } else {
      tile.event 2 %i
    }
  }
  func.return
}
