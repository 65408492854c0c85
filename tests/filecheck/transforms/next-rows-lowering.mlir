// RUN: slmc opt --no-locations %s -p 'add-sampling,fuse-strips,group-rows,convert-slmq-to-tile,canonicalize,cse'
// What a layer makes for the next one is carried: its first weights, the rows that they are multiplied with, and the products.
// CHECK: %[[AHEAD:[0-9]+]] = tile.alloc "ahead" in "sram" bytes 4096 carried
// CHECK: %[[ROWS:[0-9]+]] = tile.alloc "rows" in "sram" bytes 4096 carried
// CHECK: %[[SCALES:[0-9]+]] = tile.alloc "rows" in "sram" bytes 256 carried
// CHECK: %[[PRODUCTS:[0-9]+]] = tile.alloc "products" in "sram" bytes 16384 carried
// For the first layer it is made in front of all.
// CHECK: tile.view %[[ROWS]] in sram
// CHECK: tile.mm
// CHECK: scf.for
// CHECK-NEXT: tile.mark
// A layer begins with its third strip.
// CHECK-NOT: tile.vred "amax"
// CHECK: arith.cmpi sge
// CHECK: tile.mm
// CHECK: tile.renew %[[AHEAD]]
// Its last region does the work of the first one of the next layer, if there is one, on the rows that it has made.
// CHECK: %[[NEXT:[0-9]+]] = arith.cmpi slt
// CHECK: tile.renew %[[ROWS]]
// CHECK-NEXT: tile.renew %[[SCALES]]
// CHECK-NEXT: tile.renew %[[PRODUCTS]]
// CHECK: scf.for
// CHECK: tile.vred "sum"
// CHECK: tile.store
// CHECK: scf.if %[[NEXT]] {
// CHECK: tile.vred "amax"
// CHECK: tile.view %[[ROWS]] in sram
// CHECK: tile.view %[[PRODUCTS]] in sram
// CHECK: tile.mm
// CHECK: tile.mark
builtin.module attributes {"tile.plan" = {context = 64 : i64, chunk = 64 : i64, strip_bytes = 2048 : i64, kv_heads = 1 : i64, key_tile = 64 : i64, array_rows = 16 : i64, buffers = 2 : i64, spill_bytes = 4096 : i64, row_bytes = 4096 : i64, query_tile = 4 : i64, early = 264 : i64}} {
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x64xf32> {
  %x = slmq.embed %tokens, #slm.weight<"embed", tensor<64x64xf32>> as "f32" : tensor<?xi32> -> tensor<?x64xf32>
  %h = slm.layers "layers" [0, 0, 0](%x) {
  ^bb0(%l: tensor<?x64xf32>):
    %n, %ns = slmq.quantize %l axes 1 : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?x1xf32>
    %u = slmq.matmul %n scale %ns, #slm.weight<"layers.{i}.up", tensor<96x64xf32>> as "i8" : tensor<?x64xi8> scale tensor<?x1xf32> -> tensor<?x96xf32>
    %s, %ss = slmq.quantize %u axes 1 : tensor<?x96xf32> -> tensor<?x96xi8>, tensor<?x1xf32>
    %d = slmq.matmul %s scale %ss, #slm.weight<"layers.{i}.down", tensor<64x96xf32>> as "i8" : tensor<?x96xi8> scale tensor<?x1xf32> -> tensor<?x64xf32>
    %e = slmq.rms_norm %d, #slm.weight<"layers.{i}.norm", tensor<64xf32>> eps 1.000000e-05 offset 0.0 axes 1 : tensor<?x64xf32>
    %r = slmq.add %l, %e : tensor<?x64xf32>, tensor<?x64xf32> -> tensor<?x64xf32>
    slm.yield %r : tensor<?x64xf32>
  } : tensor<?x64xf32> -> tensor<?x64xf32>
  %q, %qs = slmq.quantize %h axes 1 : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?x1xf32>
  %y = slmq.matmul %q scale %qs, #slm.weight<"head", tensor<64x64xf32>> as "i8" : tensor<?x64xi8> scale tensor<?x1xf32> -> tensor<?x64xf32>
  func.return %y : tensor<?x64xf32>
}
}
