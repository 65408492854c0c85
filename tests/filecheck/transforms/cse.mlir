// RUN: slmc opt --no-locations %s -p cse
// Equal views of a buffer are one, whatever the order of their properties; what differs stays.
// CHECK: func.func @views() {
// CHECK: %[[A:.*]] = tile.alloc "a"
// CHECK-NEXT: %[[V:.*]] = tile.view %[[A]] in sram + 0 as f32 [64, 1, 1, 1]
// CHECK-NEXT: %[[W:.*]] = tile.view %[[A]] in sram + 4 as f32 [64, 1, 1, 1]
// CHECK-NEXT: tile.vun "mov" %[[V]], %[[V]]
// CHECK-NEXT: tile.vun "mov" %[[V]], %[[W]]
func.func @views() {
  %a = tile.alloc "a" in "sram" bytes 512 : !tile.buffer
  %0 = tile.view %a in sram + 0 as f32 [64, 1, 1, 1] strides [4, 0, 0, 0]
  %1 = "tile.view"(%a) <{strides = array<i64: 4, 0, 0, 0>, static_base = 0 : i64, operandSegmentSizes = array<i32: 1, 0, 0, 0>, extents = array<i64: 64, 1, 1, 1>, space = "sram", dtype = "f32"}> : (!tile.buffer) -> !tile.view
  %2 = tile.view %a in sram + 4 as f32 [64, 1, 1, 1] strides [4, 0, 0, 0]
  tile.vun "mov" %0, %1
  tile.vun "mov" %1, %2
  func.return
}

// -----
// What is known around a branch is known inside; what is known inside is not known behind it. Reads of SMEM may differ.
// CHECK: func.func @blocks() {
// CHECK-NEXT: %[[TWO:.*]] = arith.constant 2 : index
// CHECK-NEXT: %[[X:.*]] = tile.lds 8 + 0
// CHECK-NEXT: %[[Y:.*]] = tile.lds 8 + 0
// CHECK-NEXT: %[[IS:.*]] = arith.cmpi eq, %[[X]], %[[Y]]
// CHECK-NEXT: scf.if %[[IS]] {
// CHECK-NEXT: %[[IN:.*]] = arith.addi %[[X]], %[[TWO]]
// CHECK-NEXT: tile.event 1 %[[IN]]
// CHECK-NEXT: tile.event 1 %[[IN]]
// CHECK-NEXT: }
// CHECK-NEXT: %[[OUT:.*]] = arith.addi %[[X]], %[[TWO]]
// CHECK-NEXT: tile.event 1 %[[OUT]]
func.func @blocks() {
  %two = arith.constant 2 : index
  %x = tile.lds 8 + 0 : index
  %y = tile.lds 8 + 0 : index
  %is = arith.cmpi eq, %x, %y : index
  scf.if %is {
    %again = arith.constant 2 : index
    %in = arith.addi %x, %again : index
    %twice = arith.addi %x, %two : index
    tile.event 1 %in
    tile.event 1 %twice
  }
  %out = arith.addi %x, %two : index
  tile.event 1 %out
  func.return
}

// -----
// Branches without effects are values: equal ones are one, and one that nobody reads goes.
// CHECK: func.func @values() {
// CHECK: %[[ONE:.*]] = scf.if %{{.*}} -> (index) {
// CHECK-NOT: scf.if
// CHECK: tile.event 1 %[[ONE]]
// CHECK-NEXT: tile.event 2 %[[ONE]]
// CHECK-NEXT: func.return
func.func @values() {
  %a = tile.lds 8 + 0 : index
  %b = tile.lds 8 + 8 : index
  %is = arith.cmpi slt, %a, %b : index
  %first = scf.if %is -> (index) {
    scf.yield %a : index
  } else {
    scf.yield %b : index
  }
  %second = scf.if %is -> (index) {
    scf.yield %a : index
  } else {
    scf.yield %b : index
  }
  %unused = scf.if %is -> (index) {
    scf.yield %b : index
  } else {
    scf.yield %a : index
  }
  tile.event 1 %first
  tile.event 2 %second
  func.return
}
