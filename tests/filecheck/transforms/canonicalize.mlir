// RUN: slmc opt --no-locations %s -p canonicalize
// Numbers are added, a loop of one turn is none, and what nobody reads disappears, with what only that has read.
// CHECK: func.func @known() {
// CHECK-NEXT: %[[FIVE:.*]] = arith.constant 5 : index
// CHECK-NEXT: tile.event 1 %[[FIVE]]
// CHECK-NEXT: func.return
func.func @known() {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %five = arith.addi %c1, %c4 : index
  %unused = arith.muli %c4, %five : index
  %more = arith.addi %unused, %five : index
  scf.for %i = %c0 to %c1 step %c1 {
    tile.event 1 %five
  }
  func.return
}

// -----
// Ops with effects stay, whatever they give: this one reads SMEM.
// CHECK: func.func @effects() {
// CHECK-NEXT: %{{.*}} = tile.lds 8 + 0 : index
// CHECK-NEXT: func.return
func.func @effects() {
  %unused = tile.lds 8 + 0 : index
  func.return
}

// -----
// What no branch leads to goes, and with it what only that has read.
// CHECK: func.func @unreachable() {
// CHECK-NEXT: %[[X:.*]] = tile.lds 8 + 0 : index
// CHECK-NEXT: tile.event 1 %[[X]]
// CHECK-NEXT: func.return
// CHECK-NEXT: }
func.func @unreachable() {
  %three = arith.constant 3 : index
  %x = tile.lds 8 + 0 : index
  tile.event 1 %x
  func.return
^bb1:
  tile.event 2 %three
  func.return
}
