// RUN: slmc opt --no-locations %s -p 'add-sampling,fuse-strips,group-rows,convert-slmq-to-tile,canonicalize,cse'
// A chunk of one token has instructions of its own, behind those for chunks of more.
// CHECK: arith.cmpi ne, %{{[0-9]+}}, %{{[0-9]+}}
// CHECK: scf.for
// CHECK: tile.mark 0
// CHECK: } else {
// The first layer's norm and first two strips of weights are on their way before it begins.
// CHECK: %[[AHEAD:[0-9]+]] = tile.alloc "ahead" in "sram"
// CHECK: tile.weight {kind = "vector", key = "layers.{i}.norm"
// CHECK: tile.load
// CHECK: tile.weight {kind = "matrix", key = "layers.{i}.up"
// CHECK-COUNT-2: tile.load
// CHECK: scf.for %[[LAYER:[0-9]+]] =
// CHECK: tile.mark 0 %[[LAYER]]
// The weights of the next product have their buffer before the loop, which skips its own first two strips. All strips of a product go to
// one row; the first weights of the next one come before what is done to the row, once.
// CHECK: tile.vred "sum"
// CHECK: %[[DOWN:[0-9]+]] = tile.alloc "weights" in "sram"
// CHECK: %[[PRODUCTS:[0-9]+]] = tile.alloc "products" in "sram" bytes 384
// CHECK: %[[FIRST:[0-9]+]] = tile.view %[[PRODUCTS]] in sram + 0 as f32 [16, 1, 1, 1]
// CHECK-NEXT: tile.view %[[AHEAD]]
// CHECK-NEXT: tile.mm %[[FIRST]]
// CHECK: %[[SECOND:[0-9]+]] = tile.view %[[PRODUCTS]] in sram + 64 as f32 [16, 1, 1, 1]
// CHECK-NEXT: tile.view %[[AHEAD]]
// CHECK-NEXT: tile.mm %[[SECOND]]
// CHECK: scf.for
// CHECK: tile.load
// CHECK: tile.mm
// CHECK: scf.yield
// CHECK: tile.weight {kind = "matrix", key = "layers.{i}.down"
// CHECK: tile.view %[[DOWN]]
// CHECK-COUNT-2: tile.load
// CHECK: %[[ROW:[0-9]+]] = tile.view %[[PRODUCTS]] in sram + 0 as f32 [96, 1, 1, 1]
// CHECK: tile.vun "sigmoid" %{{[0-9]+}}, %[[ROW]]
// A strip of the second product is too large: it comes in k-tiles, parts of its block, of which the first two are there.
// CHECK: scf.for %[[TILE:[0-9]+]] =
// CHECK: arith.cmpi sge, %[[TILE]],
// CHECK-NEXT: scf.if
// CHECK: tile.view weight + %{{[0-9]+}} + 0 as u8 [2048, 1, 1, 1] strides [1, 6144, 0, 0]
// CHECK: tile.mm %{{[0-9]+}}, %{{[0-9]+}}, %{{[0-9]+}} accumulate
// Before the last strip of a layer is finished come the first weights of the next one, behind the last layer those of the
// vocabulary.
// CHECK: %[[NEXT:[0-9]+]] = arith.addi %[[LAYER]],
// CHECK: arith.cmpi slt, %[[NEXT]],
// CHECK-NEXT: scf.if
// CHECK: tile.weight {kind = "vector", key = "layers.{i}.norm", {{.*}}} layer %[[NEXT]]
// CHECK: tile.weight {kind = "matrix", key = "layers.{i}.up", {{.*}}} layer %[[NEXT]]
// CHECK: } else {
// CHECK: tile.weight {kind = "matrix", key = "head"
// CHECK: tile.load
// CHECK: tile.vtopk
builtin.module attributes {"tile.plan" = {context = 64 : i64, chunk = 16 : i64, strip_bytes = 2048 : i64, kv_heads = 1 : i64, key_tile = 64 : i64, array_rows = 16 : i64}, "tile.single" = {context = 64 : i64, chunk = 1 : i64, strip_bytes = 2048 : i64, kv_heads = 1 : i64, key_tile = 64 : i64, array_rows = 16 : i64, ahead = 1 : i64, token_strip_bytes = 2048 : i64, span_bytes = 1024 : i64}} {
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x64xf32> {
  %x = slmq.embed %tokens, #slm.weight<"embed", tensor<64x32xf32>> as "f32" : tensor<?xi32> -> tensor<?x32xf32>
  %h = slm.layers "layers" [0, 0, 0](%x) {
  ^bb0(%l: tensor<?x32xf32>):
    %n = slmq.rms_norm %l, #slm.weight<"layers.{i}.norm", tensor<32xf32>> eps 1.000000e-05 offset 0.0 axes 1 : tensor<?x32xf32>
    %u = slmq.matmul %n, #slm.weight<"layers.{i}.up", tensor<96x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x96xf32>
    %s = slmq.activation "silu" %u : tensor<?x96xf32>
    %d = slmq.matmul %s, #slm.weight<"layers.{i}.down", tensor<32x96xf32>> as "f32" : tensor<?x96xf32> -> tensor<?x32xf32>
    %r = slmq.add %l, %d : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
    slm.yield %r : tensor<?x32xf32>
  } : tensor<?x32xf32> -> tensor<?x32xf32>
  %y = slmq.matmul %h, #slm.weight<"head", tensor<64x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x64xf32>
  func.return %y : tensor<?x64xf32>
}
}
