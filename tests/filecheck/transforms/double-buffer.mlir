// RUN: slmc opt --no-locations %s -p double-buffer
// The stream buffer becomes two halves outside of the loop; the other buffer stays as it is.
// CHECK: %c1 = arith.constant 1 : index
// CHECK-NEXT: %[[FIRST:.*]] = arith.constant 0 : index
// CHECK-NEXT: %b = tile.alloc "weights" in "sram" bytes 2048 : !tile.buffer
// CHECK-NEXT: %{{.*}} = scf.for %i = %c0 to %c4 step %c1 iter_args(%[[HALF:.*]] = %[[FIRST]]) -> (index) {
// CHECK-NEXT: %v = tile.view %b in sram + %[[HALF]] + 16 as u8
// CHECK: tile.alloc "kept" in "sram" bytes 1024 : !tile.buffer
// CHECK: %[[SIZE:.*]] = arith.constant 1024 : index
// CHECK-NEXT: %[[OTHER:.*]] = arith.subi %[[SIZE]], %[[HALF]] : index
// CHECK-NEXT: scf.yield %[[OTHER]] : index
func.func @generate() {
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %c4 step %c1 {
    %b = tile.alloc "weights" in "sram" bytes 1024 stream : !tile.buffer
    %v = tile.view %b in sram + 16 as u8 [1024, 1, 1, 1] strides [1, 0, 0, 0]
    %w = tile.view weight + %i + 0 as u8 [1024, 1, 1, 1] strides [1, 0, 0, 0]
    tile.load %v, %w
    %k = tile.alloc "kept" in "sram" bytes 1024 : !tile.buffer
    %u = tile.view %k in sram + 0 as u8 [1024, 1, 1, 1] strides [1, 0, 0, 0]
    tile.vun "mov" %u, %v
  }
  func.return
}
