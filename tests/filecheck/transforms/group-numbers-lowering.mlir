// RUN: slmc opt --no-locations %s -p 'add-sampling,fuse-strips,group-rows,convert-slmq-to-tile,canonicalize,cse'
// Scales of 20 groups of a strip, in two turns, would take more room than two k-tiles of one group: each tile comes with its own, behind
// its rows in the buffer and in front of them in the block.
// CHECK-NOT: "strip_header"
// CHECK: %[[WEIGHT:[0-9]+]] = tile.weight {kind = "matrix", key = "down"
// CHECK: %[[TILE:[0-9]+]] = tile.alloc "weights" in "sram" bytes 288 stream
// CHECK: %[[NUMBERS:[0-9]+]] = tile.view %[[TILE]] in sram + 256 as u8 [32, 1, 1, 1]
// CHECK-NEXT: %[[SOURCE:[0-9]+]] = tile.view weight + %{{[0-9]+}} + 0 as u8 [32, 1, 1, 1] strides [1, 5760, 0, 0]
// CHECK-NEXT: tile.load %[[NUMBERS]], %[[SOURCE]]
// CHECK: %[[ROWS:[0-9]+]] = tile.view %[[TILE]] in sram + 0 as u8 [256, 1, 1, 1]
// CHECK: tile.load %[[ROWS]]
// CHECK: tile.view %[[TILE]] in sram + 256 as f16 blocked [1, 16, 1, 1]
// CHECK: tile.mmg
builtin.module attributes {"tile.plan" = {context = 64 : i64, chunk = 64 : i64, strip_bytes = 512 : i64, kv_heads = 1 : i64, key_tile = 64 : i64, array_rows = 16 : i64, buffers = 2 : i64}} {
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x32xf32> {
  %x = slmq.embed %tokens, #slm.weight<"embed", tensor<64x640xf32>> as "bf16" : tensor<?xi32> -> tensor<?x640xf32>
  %n, %ns = slmq.quantize %x axes 1 : tensor<?x640xf32> -> tensor<?x640xi8>, tensor<?x1xf32>
  %y = slmq.matmul %n scale %ns, #slm.weight<"down", tensor<32x640xf32>> as "i4-g32" : tensor<?x640xi8> scale tensor<?x1xf32> -> tensor<?x32xf32>
  func.return %y : tensor<?x32xf32>
}
}
// -----
// Those of a strip of two k-tiles come at once, in front of both.
// CHECK: %[[HEADER:[0-9]+]] = tile.alloc "strip_header" in "sram" bytes 1280
// CHECK: tile.view %[[HEADER]] in sram
// CHECK-NEXT: tile.view weight + %{{[0-9]+}} + 0 as u8 [640, 1, 1, 1] strides [1, 5760, 0, 0]
// CHECK: tile.load
// CHECK: scf.for
// CHECK: tile.load
// CHECK: tile.view %[[HEADER]] in sram
// CHECK: tile.mmg
builtin.module attributes {"tile.plan" = {context = 64 : i64, chunk = 64 : i64, strip_bytes = 3072 : i64, kv_heads = 1 : i64, key_tile = 64 : i64, array_rows = 16 : i64, buffers = 2 : i64}} {
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x32xf32> {
  %x = slmq.embed %tokens, #slm.weight<"embed", tensor<64x640xf32>> as "bf16" : tensor<?xi32> -> tensor<?x640xf32>
  %n, %ns = slmq.quantize %x axes 1 : tensor<?x640xf32> -> tensor<?x640xi8>, tensor<?x1xf32>
  %y = slmq.matmul %n scale %ns, #slm.weight<"down", tensor<32x640xf32>> as "i4-g32" : tensor<?x640xi8> scale tensor<?x1xf32> -> tensor<?x32xf32>
  func.return %y : tensor<?x32xf32>
}
}
