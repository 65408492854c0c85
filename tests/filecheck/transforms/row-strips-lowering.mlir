// RUN: slmc opt --no-locations %s -p 'convert-slm-to-slmq{scheme="w8a8"},cse,add-sampling,fuse-strips,group-rows,convert-slmq-to-tile,canonicalize,cse'
// One token. The strips of a product go to one row, and what is behind them is done to the row, once.
// CHECK: tile.alloc "ahead" in "sram"
// CHECK: scf.for %{{[0-9]+}} =
// CHECK-NEXT: tile.mark 0
// CHECK: %[[Q:[0-9]+]] = tile.weight {kind = "matrix", key = "layers.{i}.q", format = "i8", rows = 32 : i64, columns = 32 : i64, bias = "layers.{i}.qb"
// CHECK: tile.alloc "products" in "sram" bytes 128
// Scales of rows and biases are loaded once for all strips: two arrays in front of the blocks.
// CHECK: %[[NUMBERS:[0-9]+]] = tile.alloc "row_numbers" in "sram" bytes 256
// CHECK-NEXT: tile.view %[[NUMBERS]] in sram + 0 as u8 [128, 2, 1, 1] strides [1, 128, 0, 0]
// CHECK-NEXT: tile.view weight + %[[Q]] + 0 as u8 [128, 2, 1, 1] strides [1, 128, 0, 0]
// CHECK-COUNT-2: tile.mm
// CHECK: tile.view %[[NUMBERS]] in sram + 0 as f32 [32, 1, 1, 1]
// CHECK: tile.view %[[NUMBERS]] in sram + 128 as f32 [32, 1, 1, 1]
// CHECK: tile.vbin "mul"
// The first strip behind the attention comes before the last product in front of it is finished, the second one while the attention ends.
// CHECK: %[[OUT:[0-9]+]] = tile.alloc "weights" in "sram" bytes 1024
// CHECK: tile.mm
// CHECK: tile.weight {kind = "matrix", key = "layers.{i}.out"
// CHECK: %[[STRIP:[0-9]+]] = tile.view %[[OUT]] in sram + 0 as u8 [512, 1, 1, 1]
// CHECK: tile.load %[[STRIP]]
// CHECK: tile.vbin "mul"
// CHECK: tile.store
// CHECK: scf.for
// CHECK: %[[STRIP:[0-9]+]] = tile.view %[[OUT]] in sram + 512 as u8 [512, 1, 1, 1]
// CHECK: tile.load %[[STRIP]]
// CHECK: tile.vsmx
// A row that is too long has spans, here of two strips, and a rest. Each is finished behind the first strip of the next one.
// CHECK: tile.mark 0
// CHECK: tile.weight {kind = "matrix", key = "head"
// CHECK: tile.alloc "products" in "sram" bytes 256
// CHECK: tile.alloc "row_numbers" in "sram" bytes 256
// CHECK-COUNT-2: tile.mm
// CHECK-NOT: tile.vtopk
// CHECK: scf.for
// CHECK-COUNT-2: tile.load
// CHECK: tile.mm
// CHECK: tile.vtopk
// CHECK: tile.load
// CHECK: tile.mm
// CHECK: scf.yield
// CHECK: tile.mm
// CHECK: tile.vtopk
// CHECK: tile.vtopk
builtin.module attributes {"tile.plan" = {context = 64 : i64, chunk = 16 : i64, strip_bytes = 512 : i64, kv_heads = 1 : i64, key_tile = 64 : i64, array_rows = 16 : i64}, "tile.single" = {context = 64 : i64, chunk = 1 : i64, strip_bytes = 512 : i64, kv_heads = 1 : i64, key_tile = 256 : i64, array_rows = 16 : i64, ahead = 1 : i64, token_strip_bytes = 512 : i64, span_bytes = 128 : i64}} {
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x144xf32> {
  %x = slm.embedding %tokens, #slm.weight<"embed", tensor<64x32xf32>> : tensor<?xi32> -> tensor<?x32xf32>
  %h = slm.layers "layers" [0, 0](%x) {
  ^bb0(%l: tensor<?x32xf32>):
    %q = slm.linear %l, #slm.weight<"layers.{i}.q", tensor<32x32xf32>> bias #slm.weight<"layers.{i}.qb", tensor<32xf32>> : tensor<?x32xf32> -> tensor<?x4x8xf32>
    %k = slm.linear %l, #slm.weight<"layers.{i}.k", tensor<16x32xf32>> : tensor<?x32xf32> -> tensor<?x2x8xf32>
    %a = slm.attention %q, %k, %k state "s.{i}" scale 2.500000e-01 : tensor<?x4x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32> -> tensor<?x4x8xf32>
    %o = slm.linear %a, #slm.weight<"layers.{i}.out", tensor<32x32xf32>> : tensor<?x4x8xf32> -> tensor<?x32xf32>
    slm.yield %o : tensor<?x32xf32>
  } : tensor<?x32xf32> -> tensor<?x32xf32>
  %y = slm.linear %h, #slm.weight<"head", tensor<144x32xf32>> : tensor<?x32xf32> -> tensor<?x144xf32>
  func.return %y : tensor<?x144xf32>
}
}
