// RUN: slmc opt --no-locations %s -p simplify-indices,canonicalize
// What is known of base, extents and strides is no operand.
// CHECK: %x = tile.lds 8 + 40 : index
// CHECK-NEXT: %{{.*}} = tile.view weight + %x + 80 as f32 [4, %x, 1, 1] strides [4, 16, 0, 0]
// CHECK-NEXT: %{{.*}} = tile.view weight + 68 as i8 blocked [16, 16, 1, 1] strides [0, 256, 0, 0]
// CHECK-NEXT: tile.load
func.func @generate() {
  %x = tile.lds 8 + 40 : index
  %c4 = arith.constant 4 : index
  %c16 = arith.constant 16 : index
  %c64 = arith.constant 64 : index
  %c256 = arith.constant 256 : index
  %sum = arith.addi %x, %c64 : index
  %a = tile.view weight + %sum + 16 as f32 [%c4, %x, 1, 1] strides [4, %c16, 0, 0]
  %b = tile.view weight + %c64 + 4 as i8 blocked [16, %c16, 1, 1] strides [0, %c256, 0, 0]
  tile.load %a, %b
  func.return
}

// -----
// What no view can have stays an operand: a view that says so stands where the program never comes.
// CHECK: %{{.*}} = tile.view weight + %{{.*}} + 4 as f32 [%{{.*}}, %{{.*}}, 1, 1] strides [4, 16, 0, 0]
func.func @generate() {
  %none = arith.constant 0 : index
  %many = arith.constant 1048576 : index
  %before = arith.constant -64 : index
  %a = tile.view weight + %before + 4 as f32 [%none, %many, 1, 1] strides [4, 16, 0, 0]
  tile.load %a, %a
  func.return
}
