// RUN: slmc opt --no-locations %s -p 'fuse-strips,convert-slmq-to-tile,canonicalize,cse'
// In the generate loop, a row of the image is loaded over that of a token where the host's table of places says so.
// CHECK: func.func @generate() {
// CHECK: %[[ROWS:.*]] = tile.state {name = "image", part = "rows", size_bytes = 160 : i64} : index
// CHECK-NEXT: %[[PLACES:.*]] = tile.input {name = "places", size_bytes = 256 : i64} : index
// CHECK: %[[OWN:.*]] = tile.alloc "places" in "smem" bytes 12
// CHECK: %[[COUNT:.*]] = arith.constant 5 : index
// CHECK-NEXT: scf.for
// CHECK: %[[PLACE:.*]] = tile.lds 4 of %[[OWN]] at
// CHECK-NEXT: %[[IS:.*]] = arith.cmpi slt, %[[PLACE]], %[[COUNT]]
// CHECK-NEXT: scf.if %[[IS]] {
// CHECK: %[[AT:.*]] = arith.addi %[[ROWS]],
// CHECK: tile.view kv + %[[AT]] + 0 as f32 [8, 1, 1, 1]
// CHECK-NEXT: tile.load
//
// The encoder: four-dimensional loads of two neighbouring patches each (strip_bytes allows 96 bytes).
// CHECK: func.func @encode_image() {
// CHECK: %[[PIXELS:.*]] = tile.input {name = "pixels", size_bytes = 384 : i64} : index
// CHECK: %[[PATCHES:.*]] = tile.scratch {name = "image.patches.0", size_bytes = 384 : i64} : index
// CHECK: tile.view io + %{{.*}} + 0 as f32 [2, 2, 3, 2] strides [4, 32, 128, 8]
// CHECK: tile.load
// CHECK: tile.view scratch + %{{.*}} + 0 as f32 [12, 2, 1, 1] strides [4, 48, 0, 0]
// CHECK: tile.store
//
// The first region: chunks of three rows (eight rows, at most three at once), from SCRATCH to SCRATCH.
// CHECK: %[[KEYS:.*]] = tile.scratch {name = "image.rows.1", size_bytes = 256 : i64} : index
// CHECK: scf.for
// CHECK: %[[ROW:.*]] = arith.addi %[[PATCHES]],
// CHECK: tile.view scratch + %[[ROW]] + 0 as f32 [12, %{{.*}}, 1, 1] strides [4, 48, 0, 0]
// CHECK: tile.mm
// CHECK: %[[TO:.*]] = arith.addi %[[KEYS]],
// CHECK: tile.view scratch + %[[TO]] + 0 as f32 [8, %{{.*}}, 1, 1] strides [4, 32, 0, 0]
// CHECK: tile.store
//
// The second one: queries from WEIGHT; keys and values are read whole where the first one left them, [head_dim, keys, kv heads].
// CHECK: tile.weight {kind = "vector", key = "latents", rows = 1 : i64, columns = 40 : i64
// CHECK: %[[ALL:.*]] = arith.constant 256 : index
// CHECK-NEXT: %[[ANY:.*]] = arith.constant 2147483647 : index
// CHECK: tile.view weight
// CHECK: tile.view scratch + %[[KEYS]] + 0 as f32 [4, %{{.*}}, 2, 1] strides [4, 32, 16, 0]
// CHECK: tile.mm
// CHECK: tile.vsmx %{{.*}} first %[[ALL]] window %[[ANY]]
// CHECK: tile.mm %{{.*}} accumulate
// CHECK: tile.vbin "div"
// CHECK: tile.store
//
// The result goes to the state, and the host is told how many rows it has.
// CHECK: %[[STATE:.*]] = tile.state {name = "image", part = "rows", size_bytes = 160 : i64} : index
// CHECK: %[[INTO:.*]] = arith.addi %[[STATE]],
// CHECK-NEXT: tile.view kv + %[[INTO]] + 0
// CHECK-NEXT: tile.store
// CHECK: tile.event 2
// CHECK-NEXT: func.return
builtin.module attributes {tile.plan = {context = 64 : i64, chunk = 3 : i64, strip_bytes = 100 : i64, kv_heads = 2 : i64, key_tile = 256 : i64, array_rows = 16 : i64, buffers = 2 : i64}} {
func.func @forward(%tokens: tensor<?xi32>, %places: tensor<?xi32>, %rows: tensor<5x8xf32>) -> tensor<1xi32> {
  %x = slmq.embed %tokens, #slm.weight<"embed", tensor<64x8xf32>> as "f32" : tensor<?xi32> -> tensor<?x8xf32>
  %y = slmq.replace %x, %places, %rows : tensor<?x8xf32>, tensor<?xi32>, tensor<5x8xf32>
  %l = slmq.matmul %y, #slm.weight<"head", tensor<64x8xf32>> as "f32" : tensor<?x8xf32> -> tensor<?x64xf32>
  %t = slmq.sample %l : tensor<?x64xf32> -> tensor<1xi32>
  func.return %t : tensor<1xi32>
}
func.func @encode_image(%pixels: tensor<3x4x8xf32>) -> tensor<5x8xf32> {
  %p = slmq.patches %pixels size 2 : tensor<3x4x8xf32> -> tensor<8x3x2x2xf32>
  %k = slmq.rows(%p) {
  ^bb0(%a: tensor<?x3x2x2xf32>):
    %b = slmq.matmul %a, #slm.weight<"patch", tensor<8x12xf32>> as "f32" : tensor<?x3x2x2xf32> -> tensor<?x2x4xf32>
    slmq.yield %b : tensor<?x2x4xf32>
  } : tensor<8x3x2x2xf32> -> tensor<8x2x4xf32>
  %q = slmq.tensor #slm.weight<"latents", tensor<5x2x4xf32>> : tensor<5x2x4xf32>
  %r = slmq.rows(%q) {
  ^bb0(%c: tensor<?x2x4xf32>):
    %d = slmq.full_attention %c, %k, %k : tensor<?x2x4xf32>, tensor<8x2x4xf32>, tensor<8x2x4xf32> -> tensor<?x2x4xf32>
    %e = slmq.matmul %d, #slm.weight<"o", tensor<8x8xf32>> as "f32" : tensor<?x2x4xf32> -> tensor<?x8xf32>
    slmq.yield %e : tensor<?x8xf32>
  } : tensor<5x2x4xf32> -> tensor<5x8xf32>
  func.return %r : tensor<5x8xf32>
}
}
