// RUN: slmc opt --no-locations %s -p 'convert-slm-to-slmq{scheme="bf16"},add-sampling,fuse-strips,choose-tiling{sram_bytes=65536 context=64 chunk=8},convert-slmq-to-tile'
// The rows of a chunk's positions are one load, not a loop over rows: row 2 of the table is that of position 0.
// CHECK: tile.weight {kind = "rows", key = "pos", format = "bf16"
// CHECK: %[[SKIPPED:.*]] = arith.constant 128 : index
// CHECK: %[[FIRST:.*]] = arith.addi %{{.*}}, %[[SKIPPED]]
// CHECK: %[[ROW:.*]] = arith.muli %[[POSITION:.*]], %{{.*}}
// CHECK-NEXT: %[[BASE:.*]] = arith.addi %[[FIRST]], %[[ROW]]
// CHECK-NOT: scf.for
// CHECK: tile.load
// CHECK: tile.vun "mov"
// CHECK: tile.table {kind = "sinusoid", columns = 32 : i64, first = 2 : i64, positions = 64 : i64}
// CHECK-NOT: scf.for
// CHECK: tile.load
// The norm: x - mean twice, in the one buffer of the result, so that no second one is needed.
// CHECK: tile.weight {kind = "vector", key = "heads"
// CHECK: tile.weight {kind = "vector", key = "bias"
// CHECK: tile.vred "sum"
// CHECK: tile.vbin "mul"
// CHECK: tile.vbin "sub"
// CHECK: tile.vbin "mul"
// CHECK: tile.vun "mov" {{.*}}1.000000e-05
// CHECK: tile.vun "mov" {{.*}}1.000000e+00
// CHECK: tile.vred "sum"
// CHECK: tile.vmad "mad"
// CHECK: tile.vun "sqrt"
// One division for each row, and the row is multiplied.
// CHECK: tile.vbin "div"
// CHECK: tile.vbin "sub"
// CHECK: tile.vbin "mul"
// CHECK: tile.vmad "mad"
// CHECK-NOT: slmq.
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x64xf32> {
  %x = slm.embedding %tokens, #slm.weight<"embed", tensor<64x32xf32>> : tensor<?xi32> -> tensor<?x32xf32>
  %p = slm.positions 2 : tensor<?xi32>
  %q = slm.embedding %p, #slm.weight<"pos", tensor<66x32xf32>> : tensor<?xi32> -> tensor<?x32xf32>
  %s = slm.sinusoid %p : tensor<?xi32> -> tensor<?x32xf32>
  %a = slm.add %x, %q : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
  %b = slm.add %a, %s : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
  %u = slm.linear %b, #slm.weight<"up", tensor<32x32xf32>> : tensor<?x32xf32> -> tensor<?x4x8xf32>
  %n = slm.layer_norm %u, #slm.weight<"heads", tensor<4x8xf32>> bias #slm.weight<"bias", tensor<4x8xf32>> eps 1.000000e-05 axes 1 per 1 : tensor<?x4x8xf32>
  %y = slm.linear %n, #slm.weight<"head", tensor<64x32xf32>> : tensor<?x4x8xf32> -> tensor<?x64xf32>
  func.return %y : tensor<?x64xf32>
}
