// RUN: slmc opt --no-locations %s -p 'add-sampling,fuse-strips,choose-tiling{sram_bytes=65536 context=64 chunk=8},convert-slmq-to-tile'
// A loop over tiles of channels around a loop over tokens. A lies in DRAM with channels innermost, and nowhere else.
// Of three products two are added to each other, then the rest; the sum starts at +0.
// CHECK-NOT: kind = "vector", key = "a"
// CHECK: tile.vbin "mul"
// CHECK: tile.state {name = "scan.0", part = "h", size_bytes = 384 : i64} : index
// CHECK: tile.alloc "decay" in "sram" bytes 384 : !tile.buffer
// CHECK-NEXT: tile.alloc "products" in "sram" bytes 256 : !tile.buffer
// CHECK-NEXT: tile.weight {kind = "transposed", key = "a", rows = 32 : i64, columns = 3 : i64} : index
// CHECK: scf.for
// CHECK: tile.alloc "scan_matrix" in "sram" bytes 384 stream
// CHECK: tile.alloc "scan_state" in "sram" bytes 384 stream
// CHECK: tile.load
// CHECK: scf.if
// CHECK: tile.vun "mov" %{{.*}} constant 0.000000e+00
// CHECK: } else {
// CHECK: tile.load
// CHECK: scf.for
// CHECK: tile.vbin "mul"
// CHECK: tile.vun "exp"
// CHECK: tile.vbin "mul"
// CHECK: tile.vmad "mad"
// CHECK: tile.vbin "mul"
// CHECK: tile.vmad "mad"
// CHECK: tile.vbin "add"
// CHECK: tile.vbin "add" {{.*}} constant 0.000000e+00
// CHECK: scf.yield
// CHECK: tile.store
// CHECK: scf.yield
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x64xf32> {
  %x = slmq.embed %tokens, #slm.weight<"embed", tensor<64x32xf32>> as "f32" : tensor<?xi32> -> tensor<?x32xf32>
  %a = slmq.tensor #slm.weight<"a", tensor<32x3xf32>> : tensor<32x3xf32>
  %b = slmq.embed %tokens, #slm.weight<"b", tensor<64x3xf32>> as "f32" : tensor<?xi32> -> tensor<?x3xf32>
  %s = slmq.selective_scan %x, %x, %a, %b, %b state "scan.0" : tensor<?x32xf32>, tensor<32x3xf32>, tensor<?x3xf32>, tensor<?x3xf32>
  %y = slmq.matmul %s, #slm.weight<"head", tensor<64x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x64xf32>
  func.return %y : tensor<?x64xf32>
}
// -----
// A that is computed lies in SRAM with its entries innermost, and is turned around for each tile.
// CHECK: tile.weight {kind = "vector", key = "a"
// CHECK: tile.alloc "scan_matrix"
// CHECK: tile.view %{{.*}} as f32 [32, 3, 1, 1] strides [12, 4, 0, 0]
// CHECK-NEXT: tile.vun "mov"
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x64xf32> {
  %x = slmq.embed %tokens, #slm.weight<"embed", tensor<64x32xf32>> as "f32" : tensor<?xi32> -> tensor<?x32xf32>
  %w = slmq.tensor #slm.weight<"a", tensor<32x3xf32>> : tensor<32x3xf32>
  %a = slmq.scale %w by -1.000000e+00 : tensor<32x3xf32>
  %b = slmq.embed %tokens, #slm.weight<"b", tensor<64x3xf32>> as "f32" : tensor<?xi32> -> tensor<?x3xf32>
  %s = slmq.selective_scan %x, %x, %a, %b, %b state "scan.0" : tensor<?x32xf32>, tensor<32x3xf32>, tensor<?x3xf32>, tensor<?x3xf32>
  %y = slmq.matmul %s, #slm.weight<"head", tensor<64x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x64xf32>
  func.return %y : tensor<?x64xf32>
}
